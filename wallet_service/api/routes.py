"""Every route under `/api/v1`. One file a resource; a new one is added here."""

from typing import Any, Final

from wallet_service.api.add_ons import AddOns
from wallet_service.api.api_keys import ApiKeys
from wallet_service.api.applied_coupons import AppliedCoupons, CustomerAppliedCoupons
from wallet_service.api.assets import Assets
from wallet_service.api.authorizations import Authorizations
from wallet_service.api.balances import Balances
from wallet_service.api.billable_metrics import BillableMetrics
from wallet_service.api.billing_entities import BillingEntities
from wallet_service.api.budgets import Budgets
from wallet_service.api.coupons import Coupons
from wallet_service.api.credit_notes import (
    CreditNoteMetadata,
    CreditNotes,
    CustomerCreditNotes,
)
from wallet_service.api.customers import Customers
from wallet_service.api.documents import (
    CreditNoteDocuments,
    InvoiceDocuments,
    PaymentReceiptDocuments,
)
from wallet_service.api.entitlements import PlanEntitlements, SubscriptionEntitlements
from wallet_service.api.estimates import EventEstimates
from wallet_service.api.events import Events
from wallet_service.api.features import Features
from wallet_service.api.fees import Fees
from wallet_service.api.grants import Grants
from wallet_service.api.invoice_custom_sections import InvoiceCustomSections
from wallet_service.api.invoices import CustomerInvoices, InvoiceActions, Invoices
from wallet_service.api.ledger import LedgerBook
from wallet_service.api.lifetime_usages import LifetimeUsages
from wallet_service.api.organizations import Organizations
from wallet_service.api.payment_receipts import PaymentReceipts
from wallet_service.api.payments import CustomerPayments, Payments
from wallet_service.api.plan_charge_filters import PlanChargeFilters
from wallet_service.api.plan_charges import PlanCharges
from wallet_service.api.plan_fixed_charges import PlanFixedCharges
from wallet_service.api.plan_metadata import PlanMetadata
from wallet_service.api.plan_versions import PlanVersions
from wallet_service.api.plans import Plans
from wallet_service.api.subscription_alerts import SubscriptionAlerts
from wallet_service.api.subscription_charges import (
    SubscriptionChargeFilters,
    SubscriptionCharges,
)
from wallet_service.api.subscription_fixed_charges import SubscriptionFixedCharges
from wallet_service.api.subscriptions import Subscriptions
from wallet_service.api.taxes import Taxes
from wallet_service.api.usage import CustomerUsage
from wallet_service.api.wallet_transactions import WalletTransactions
from wallet_service.api.wallets import CustomerWallets, Wallets

API_ROUTES: Final[list[Any]] = [
    AddOns,
    ApiKeys,
    AppliedCoupons,
    Assets,
    Authorizations,
    Balances,
    BillableMetrics,
    BillingEntities,
    Budgets,
    Coupons,
    CreditNoteMetadata,
    CreditNotes,
    CustomerAppliedCoupons,
    CustomerCreditNotes,
    CustomerPayments,
    CustomerInvoices,
    CustomerWallets,
    CustomerUsage,
    Customers,
    CreditNoteDocuments,
    InvoiceDocuments,
    PaymentReceiptDocuments,
    EventEstimates,
    Events,
    Features,
    Fees,
    Grants,
    InvoiceCustomSections,
    InvoiceActions,
    Invoices,
    LedgerBook,
    LifetimeUsages,
    Organizations,
    PaymentReceipts,
    Payments,
    PlanChargeFilters,
    PlanCharges,
    PlanEntitlements,
    PlanFixedCharges,
    PlanMetadata,
    PlanVersions,
    Plans,
    SubscriptionChargeFilters,
    SubscriptionCharges,
    SubscriptionAlerts,
    SubscriptionEntitlements,
    SubscriptionFixedCharges,
    Subscriptions,
    Taxes,
    WalletTransactions,
    Wallets,
]
