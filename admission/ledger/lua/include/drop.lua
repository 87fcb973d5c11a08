-- Take a reservation out of the books. See `rule.py`.

--@include reservation

--- `kept` is the reservation as it is kept.
local function drop(rid, kept)
  if kept.settle ~= NONE then
    redis.call('ZREM', keys.pending, rid)
    adjust('pending', -1)
  end
  redis.call('ZREM', keys.processes, entry_of(rid, kept))
  adjust('held', -kept.held)
  adjust('b' .. kept.lane .. '\0', -1)
  if kept.lane ~= DEFAULT then
    redis.call('ZREM', keys.lanes, 'b' .. kept.lane .. '\0' .. rid)
  end
  write('r' .. rid, false)
end
