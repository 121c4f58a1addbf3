#!lua name=hot_balances_v1
-- Hot balances: what was decided last about each customer, for reading. Derived: losing it loses nothing.
--
-- A value is 20 digits of version, then the body, which is opaque here. Versions are never turned
-- into numbers: Lua's are doubles, and versions go up to 2^64-1. All have 20 digits, so the order
-- of the texts is the order of the numbers.
--
-- Names of functions are global to a server. A release that changes keys, arguments or reply takes
-- a new name for the library *and* the function, so that it can run beside the one before.
--
-- hot_balances_put: keep the newest of many customers; what is not newer changes nothing.
--   keys   one string each: hot:<engine>:{<organization>:<customer>}
--   args   ttl_s, then for each key: version (20 digits), body (not empty)
--   reply  how many were newer, as if they had been put one after the other
--   error  before anything is written: all arguments are checked first

local VERSION_DIGITS = 20
local TTL_DIGITS_MAX = 9

local function is_version(text)
  return type(text) == 'string' and #text == VERSION_DIGITS and not string.find(text, '%D')
end

-- What is not ours in our place counts as nothing, so that the next put repairs it.
local function stored_version(key)
  local start = redis.pcall('GETRANGE', key, 0, VERSION_DIGITS - 1)
  if is_version(start) then
    return start
  end
  return ''
end

local function put(keys, args)
  local ttl_s = args[1]
  if #keys == 0 or #args ~= 1 + 2 * #keys then
    return redis.error_reply('ERR hot_balances_put: ttl_s, then version and body for each key')
  end
  if #ttl_s > TTL_DIGITS_MAX or not string.find(ttl_s, '^[1-9]%d*$') then
    return redis.error_reply('ERR hot_balances_put: ttl_s is a whole number of seconds')
  end
  for place = 1, #keys do
    if not is_version(args[2 * place]) or args[2 * place + 1] == '' then
      return redis.error_reply('ERR hot_balances_put: version has 20 digits, body is not empty')
    end
  end

  local newer = 0
  local newest = {} -- key → version to be kept; a customer may be in a batch twice
  local chosen = {} -- key → its place in the batch
  for place, key in ipairs(keys) do
    local version = args[2 * place]
    if version > (newest[key] or stored_version(key)) then
      newest[key] = version
      chosen[key] = place
      newer = newer + 1
    end
  end
  for place, key in ipairs(keys) do
    if chosen[key] == place then
      redis.call('SET', key, args[2 * place] .. args[2 * place + 1], 'EX', ttl_s)
    end
  end
  return newer
end

redis.register_function('hot_balances_put', put)
