-- Decide every limit of one request: all pass and all are charged, or none is.
-- Integer microseconds throughout; the server's clock, read once. Contract: docs/reference/limiter-script.md.
-- KEYS: one per limit. ARGV: verb, clock (0: the server's), then per limit: kind enforce cost limit period extra.
-- Answer: one string of integers: refused_by now, then per limit: refused level wait reset.
local call, fmt, ceil, floor, match = redis.call, string.format, math.ceil, math.floor, string.match
local verb, now, spare = ARGV[1], tonumber(ARGV[2]), 0
if now == 0 then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
else
  spare = 60000 -- a given clock may run slower than the one that expires keys
end
-- tostring() loses digits above 14: every number that can be a time goes through '%d' (64 bits wide).

-- Start of the month of UTC after the one that holds `us` (days to civil date and back, Gregorian calendar).
local function next_month(us)
  local z = floor(us / 86400000000) + 719468
  local era = floor(z / 146097)
  local doe = z - era * 146097
  local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524) - floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))
  local mp = floor((5 * doy + 2) / 153)
  local year, month = yoe + era * 400, mp < 10 and mp + 3 or mp - 9
  if month <= 2 then year = year + 1 end
  month = month + 1
  if month == 13 then year, month = year + 1, 1 end
  if month <= 2 then year = year - 1 end
  era = floor(year / 400)
  yoe = year - era * 400
  doy = floor((153 * (month > 2 and month - 3 or month + 9) + 2) / 5)
  return (era * 146097 + yoe * 365 + floor(yoe / 4) - floor(yoe / 100) + doy - 719468) * 86400000000
end

-- Rates and windows are decided in line below, since they are what nearly every request needs. The other kinds are made
-- only when one is asked for: a script makes its functions anew at each call.
local function make_kinds()
  local max = math.max
  local function text(n) return fmt('%d', n) end
  local function keep(key, value, us)
    call('SET', key, value, 'PX', text(max(1, ceil(us / 1000)) + spare)) -- PX 0 is an error
  end

  -- Each kind: read(key, cost, limit, period, extra) -> refused, wait, level before, level after, reset before,
  -- reset after, state for write. write(key, state, cost, ...) charges; back(key, state, cost, ...) refunds.
  local read, write, back = {}, {}, {}

  function read.s(key, cost, limit, period)
    local index, prev, cur = match(call('GET', key) or '', '^(%d+) (%d+) (%d+)$')
    index, prev, cur = tonumber(index or 0), tonumber(prev or 0), tonumber(cur or 0)
    local here = floor(now / period)
    if index < here then
      prev = index == here - 1 and cur or 0
      cur = 0
    end
    local into = now - here * period
    local weighted = prev * ((period - into) / period)
    local state = { here, prev, cur }
    local before, after = ceil(weighted) + cur, ceil(weighted) + cur + cost
    local reset = cur > 0 and 2 * period - into or (prev > 0 and period - into or 0)
    local full = cost > 0 and 2 * period - into or reset
    if weighted + cur + cost <= limit then return 0, 0, before, after, reset, full, state end
    if cost > limit then return 1, -1, before, after, reset, full, state end
    local room, wait = limit - cost - cur, 0
    if room >= 0 then
      wait = ceil(period * (1 - room / prev) - into)
    else
      wait = period - into + max(0, ceil(period * (1 - (limit - cost) / cur)))
    end
    return 1, max(1, wait), before, after, reset, full, state
  end
  local function keep_counters(key, state, cur, period)
    keep(key, text(state[1]) .. ' ' .. text(state[2]) .. ' ' .. text(cur), (state[1] + 2) * period - now)
  end
  function write.s(key, state, cost, _, period)
    if cost > 0 then keep_counters(key, state, state[3] + cost, period) end
  end
  function back.s(key, state, cost, _, period) keep_counters(key, state, max(0, state[3] - cost), period) end

  -- A list: its head is the sum of the entries, then `time cost` from old to new.
  function read.l(key, cost, limit, period)
    local sum = tonumber(call('LPOP', key) or 0)
    local first = call('LINDEX', key, 0)
    while first do
      local at, c = match(first, '^(%d+) (%d+)$')
      if tonumber(at) + period > now then break end
      call('LPOP', key)
      sum = sum - c
      first = call('LINDEX', key, 0)
    end
    local reset = 0
    if first then
      call('LPUSH', key, text(sum))
      local newest = match(call('LINDEX', key, -1), '^(%d+)')
      reset = max(0, newest + period - now)
    end
    local full = cost > 0 and period or reset
    if sum + cost <= limit then return 0, 0, sum, sum + cost, reset, full, sum end
    if cost > limit then return 1, -1, sum, sum + cost, reset, full, sum end
    local over, wait = sum + cost - limit, 0
    for _, entry in ipairs(call('LRANGE', key, 1, over)) do
      local at, c = match(entry, '^(%d+) (%d+)$')
      over, wait = over - c, at + period - now
      if over <= 0 then break end
    end
    return 1, max(1, wait), sum, sum + cost, reset, full, sum
  end
  function write.l(key, sum, cost, _, period)
    if cost == 0 then return end
    if call('EXISTS', key) == 1 then call('LSET', key, 0, text(sum + cost)) else call('RPUSH', key, text(cost)) end
    call('RPUSH', key, text(now) .. ' ' .. text(cost))
    call('PEXPIRE', key, text(ceil(period / 1000) + spare))
  end
  function back.l(key, sum, cost)
    local given = 0
    while given < cost and call('LLEN', key) > 1 do
      local at, c = match(call('RPOP', key), '^(%d+) (%d+)$')
      c = tonumber(c)
      if given + c > cost then call('RPUSH', key, at .. ' ' .. text(given + c - cost)) end
      given = given + math.min(c, cost - given)
    end
    if call('LLEN', key) > 1 then call('LSET', key, 0, text(sum - given)) else call('DEL', key) end
  end

  function read.n(key, cost, limit, life, lease)
    call('ZREMRANGEBYSCORE', key, '-inf', text(now))
    local held = call('ZCARD', key)
    if call('ZSCORE', key, lease) then return 0, 0, held, held, life, life, true end
    if cost == 0 or held < limit then return 0, 0, held, held + math.min(cost, 1), 0, life, true end
    local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    local wait = max(1, tonumber(first[2]) - now)
    return 1, wait, held, held, wait, wait, true
  end
  function write.n(key, _, cost, _, life, lease)
    if cost == 0 then return end
    call('ZADD', key, text(now + life), lease)
    local last = call('ZRANGE', key, -1, -1, 'WITHSCORES')
    call('PEXPIRE', key, text(ceil((last[2] - now) / 1000) + spare))
  end
  function back.n(key, _, _, _, _, lease) call('ZREM', key, lease) end

  function read.b(key, cost, limit)
    local held = tonumber(call('GET', key) or 0)
    if cost == 0 or held + cost <= limit then return 0, 0, held, held + cost, -1, -1, held end
    return 1, -1, held, held + cost, -1, -1, held
  end
  function write.b(key, held, cost)
    if cost > 0 then call('SET', key, text(held + cost)) end
  end
  function back.b(key, held, cost)
    -- An empty stock is no key: one that was lost, and is then given back to, must not look like one that is kept.
    if held > cost then call('SET', key, text(held - cost)) else call('DEL', key) end
  end

  function read.x(key, _, _, extend)
    local stop = tonumber(call('GET', key) or 0)
    if stop <= now then return 0, 0, 0, 0, 0, 0, stop end
    if extend > 0 and verb == 'take' then
      stop = max(stop, now + extend)
      keep(key, text(stop), stop - now)
    end
    return 1, stop - now, 1, 1, stop - now, stop - now, stop
  end
  function write.x() end
  function back.x() end
  return read, write, back
end

local read, write, back
local refused_by, count = 0, #KEYS
local held = call('MGET', unpack(KEYS)) -- false for a key of another type
local refused, wait, before, after, reset, full, state = {}, {}, {}, {}, {}, {}, {}
for i = 1, count do
  local a = 6 * i - 3
  local kind, cost, limit = ARGV[a], tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  if kind == 'g' then
    local reach = limit + ARGV[a + 5]
    local tat = tonumber(held[i] or 0)
    if tat > now + reach then
      -- A new primary's clock is behind, or the limit was raised: kept, or it would be empty until that far future.
      tat = now + reach
      call('SET', KEYS[i], fmt('%d', tat), 'PX', fmt('%d', ceil(reach / 1000) + 1 + spare))
    end
    if tat < now then tat = now end
    local backlog = tat - now
    local new = backlog + cost
    state[i], before[i], after[i], reset[i], full[i] = tat, backlog, new, backlog, new
    if cost > reach then
      refused[i], wait[i] = 1, -1
    elseif new > reach then
      refused[i], wait[i] = 1, new - reach
    else
      refused[i], wait[i] = 0, new > limit and new - limit or 0
    end
  elseif kind == 'f' or kind == 'c' then
    local period = tonumber(ARGV[a + 4])
    local stop, used = match(held[i] or '', '^(%d+) (%d+)$')
    stop, used = tonumber(stop or 0), tonumber(used or 0)
    local latest = now + period
    if kind == 'c' then latest = period == 0 and next_month(now) or (floor(now / period) + 1) * period end
    if stop <= now then
      stop, used = latest, 0
    elseif stop > latest then
      stop = latest -- as with GCRA
      call('SET', KEYS[i], fmt('%d %d', stop, used), 'PX', ceil((stop - now) / 1000) + spare)
    end
    local left = stop - now
    state[i], before[i], after[i], reset[i], full[i] = stop, used, used + cost, left, left
    if used + cost <= limit then
      refused[i], wait[i] = 0, 0
      if used == 0 then reset[i] = 0 end
    else
      refused[i], wait[i] = 1, cost > limit and -1 or left
    end
  else
    if not read then read, write, back = make_kinds() end
    refused[i], wait[i], before[i], after[i], reset[i], full[i], state[i] =
      read[kind](KEYS[i], cost, limit, tonumber(ARGV[a + 4]), ARGV[a + 5])
  end
  if refused[i] == 1 and refused_by == 0 and ARGV[a + 1] == '1' then refused_by = i end
end

local out = fmt('%d %d', refused_by, now)
for i = 1, count do
  local a = 6 * i - 3
  local kind, cost = ARGV[a], tonumber(ARGV[a + 2])
  local charged = verb == 'charge' or (verb == 'take' and refused_by == 0 and refused[i] == 0)
  if kind == 'g' then
    local tat
    if charged and cost > 0 then
      tat = state[i] + cost
    elseif verb == 'refund' and before[i] > 0 then
      tat = math.max(now, state[i] - cost)
    end
    if tat == now then
      call('DEL', KEYS[i])
    elseif tat then
      call('SET', KEYS[i], fmt('%d', tat), 'PX', ceil((tat - now) / 1000) + spare)
    end
  elseif kind == 'f' or kind == 'c' then
    local used
    if charged and cost > 0 then
      used = after[i]
    elseif verb == 'refund' and before[i] > 0 then
      used = before[i] - cost
    end
    if used and used <= 0 then
      call('DEL', KEYS[i])
    elseif used then
      call('SET', KEYS[i], fmt('%d %d', state[i], used), 'PX', ceil((state[i] - now) / 1000) + spare)
    end
  elseif verb == 'refund' then
    back[kind](KEYS[i], state[i], cost, tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]), ARGV[a + 5])
  elseif charged then
    write[kind](KEYS[i], state[i], cost, tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]), ARGV[a + 5])
  end
  out = fmt('%s %d %d %d %d', out, refused[i], charged and after[i] or before[i], wait[i],
    charged and full[i] or reset[i])
end
return out
