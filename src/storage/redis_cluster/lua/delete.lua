if old == '' then
  return 'A'
end
redis.call('UNLINK', KEYS[1])
return 'D'
