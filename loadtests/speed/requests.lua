-- Requests for wrk. In front of this stand the local variables seed, customers, first and second: templates are lists of
-- texts, and of numbers for what is filled in (1 a key of its own, 2 a customer by chance, 3 the id that was answered).

local threads, number = {}, 0

function setup(thread)
  number = number + 1
  thread:set("place", number)
  table.insert(threads, thread)
end

local count, waiting = 0, {}
authorized, captured = 0, 0

function init(arguments)
  math.randomseed(seed + place)
end

local function fill(template, key, id)
  local out = {}
  for i = 1, #template do
    local part = template[i]
    if part == 1 then
      count = count + 1
      out[i] = key .. count
    elseif part == 2 then
      out[i] = string.format("c%07d", math.random(0, customers - 1))
    elseif part == 3 then
      out[i] = id
    else
      out[i] = part
    end
  end
  return table.concat(out)
end

local function message(shape, id)
  local key = seed .. "-" .. place .. "-"
  local body = fill(shape.body, key, id)
  return shape.method .. " " .. fill(shape.path, key, id) .. " HTTP/1.1\r\n" .. shape.head
    .. "Content-Length: " .. #body .. "\r\n\r\n" .. body
end

function request()
  local id = second and table.remove(waiting)
  if id then
    return message(second, id)
  end
  return message(first)
end

-- Looking at answers costs time, so only pairs do it.
if second then
  function response(status, headers, body)
    if status ~= 200 then
      return
    end
    if string.find(body, '"status":"captured"', 1, true) then
      captured = captured + 1
    else
      authorized = authorized + 1
      table.insert(waiting, string.match(body, '"id":"([^"]+)"'))
    end
  end
end

function done(summary, latency, requests)
  local held, used, errors = 0, 0, summary.errors
  for _, thread in ipairs(threads) do
    held = held + thread:get("authorized")
    used = used + thread:get("captured")
  end
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    'RESULT {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d,"held":%d,"captured":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status, broken,
    held, used))
end
