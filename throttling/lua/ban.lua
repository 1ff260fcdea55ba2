-- Begin or lengthen a ban. KEYS: the ban. ARGV: length in us. Answer: 1 for the caller that began it, else 0.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local stop = tonumber(redis.call('GET', KEYS[1]) or 0)
local new = math.max(stop, now + tonumber(ARGV[1]))
redis.call('SET', KEYS[1], string.format('%.0f', new), 'PX', string.format('%.0f', math.max(1, math.ceil((new - now) / 1000))))
return stop <= now and 1 or 0
