-- ARGV[1], the condition: empty for any, A for absent, P for present, else a revision of 8 octets.
local old = redis.call('GETRANGE', KEYS[1], 1, 8) -- the present revision; empty when there is none
local condition = ARGV[1]
local holds = condition == '' or condition == old
    or (condition == 'A' and old == '') or (condition == 'P' and old ~= '')
if not holds then
  return 'C' .. old
end
