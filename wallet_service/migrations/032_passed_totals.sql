-- A subscription that takes another's place begins with the units that stay: whoever starts it writes what its running
-- totals go on from, once. Grants only: locks nothing.

grant insert on wallet.totals to wallet_api, wallet_worker;
