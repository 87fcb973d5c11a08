-- Take a reservation out of the books. See `rule.py`.

--@include reservation

--- `kept` is the reservation as it is kept.
local function drop(rid, kept)
  if kept.settle ~= NONE then
    take(keys.pending, rid)
    adjust('pending', -1)
  end
  take(keys.processes, entry_of(rid, kept))
  adjust('held', -kept.held)
  adjust('b' .. kept.lane .. '\0', -1)
  if kept.lane ~= DEFAULT then
    take(keys.lanes, 'b' .. kept.lane .. '\0' .. rid)
  end
  write('r' .. rid, false)
end
