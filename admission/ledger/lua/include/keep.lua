-- Enter a reservation in the book, or where it has moved to. See `rule.py`.

--@include reservation

local function keep(rid, booked)
  local kept = reservation(rid)
  local settle = kept and kept.settle or NONE
  if booked.settle ~= settle then
    if booked.settle == NONE then
      take(keys.pending, rid)
      adjust('pending', -1)
    else
      put(keys.pending, rid, booked.settle)
      adjust('pending', settle == NONE and 1 or 0)
    end
  end
  if not kept and booked.over_at < me.next_over then
    -- A process that lapsed and is heard again may have older reservations.
    redis.call('ZADD', settled(keys.due), 'LT', booked.over_at, 'u' .. process)
    clock.next_due = math.min(clock.next_due, booked.over_at)
    me.next_over = booked.over_at
  end
  local entry, kept_entry = entry_of(rid, booked), kept and entry_of(rid, kept)
  if entry ~= kept_entry then
    if kept then
      take(keys.processes, kept_entry)
    end
    put(keys.processes, entry)
    adjust('held', booked.held - (kept and kept.held or 0))
  end
  if not kept then
    adjust('b' .. booked.lane .. '\0', 1)
    if booked.lane ~= DEFAULT then
      put(keys.lanes, 'b' .. booked.lane .. '\0' .. rid)
    end
  end
  write('r' .. rid, PACK_RESERVATION(booked))
end
