-- ARGV[4], the checksum; ARGV[5], the value.
local value = '\1' .. head .. ARGV[4] .. ARGV[5]
if expires > 0 then
  redis.call('SET', KEYS[1], value, 'PXAT', at)
else
  redis.call('SET', KEYS[1], value)
end
return (old == '' and 'N' or 'R') .. revision
