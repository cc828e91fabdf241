redis.call('SETRANGE', KEYS[1], 1, head)
if expires > 0 then
  redis.call('PEXPIREAT', KEYS[1], at)
else
  redis.call('PERSIST', KEYS[1])
end
return 'R' .. revision
