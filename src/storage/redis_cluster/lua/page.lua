-- The keys of the slots from ARGV[1] to ARGV[2], whole slots, until there are ARGV[3] keys. Answers
-- what this node says of itself, the first slot that was not looked at, and slots with their keys.
local itself = redis.call('CLUSTER', 'NODES'):match('[^\n]*myself[^\n]*')
local slot, last, enough = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local answer, found = {itself, slot}, 0
while slot <= last and found < enough do
  local count = redis.call('CLUSTER', 'COUNTKEYSINSLOT', slot)
  if count > 0 then
    found = found + count
    answer[#answer + 1] = slot
    answer[#answer + 1] = redis.call('CLUSTER', 'GETKEYSINSLOT', slot, count)
  end
  slot = slot + 1
end
answer[2] = slot
return answer
