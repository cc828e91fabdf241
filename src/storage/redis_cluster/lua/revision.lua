-- ARGV[2], 12 bits chosen by the writer; ARGV[3], milliseconds to live, or empty for ever.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local micros = now
if #old == 8 then
  local high, low = struct.unpack('>I4I4', old)
  micros = math.max(now, high * 1048576 + math.floor(low / 4096) + 1)
end
-- In two halves: the numbers of Lua have 53 bits.
local revision = struct.pack('>I4I4',
  math.floor(micros / 1048576), micros % 1048576 * 4096 + ARGV[2])
local expires = 0
if ARGV[3] ~= '' then
  expires = math.floor(now / 1000) + ARGV[3]
end
local head = revision .. struct.pack('>I4I4', math.floor(expires / 4294967296), expires % 4294967296)
local at = string.format('%.0f', expires)
