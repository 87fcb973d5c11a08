-- The accounting rule: which reservations are pending, covered or held, and what moves them. See `rule.py`.
--
-- `keep` and `drop` are the only ones that enter a reservation anywhere: in `pending` by settle time, in `due` by the
-- end of `max_call_duration`, and in `processes` under its process as h<eld>, o<pen> or l<eft>.

--- Return a reservation as it is kept, nil when it is not booked.
local function reservation(rid)
  local text = read('r' .. rid)
  return text and unpack_record(text) or nil
end

local function entry_of(rid, booked)
  return (booked.held and 'h' or booked.open == 1 and 'o' or 'l') .. booked.process .. '\0' .. rid
end

local function keep(rid, booked)
  local kept = reservation(rid)
  if booked.settle ~= (kept and kept.settle or false) then
    if booked.settle then
      call('ZADD', keys.pending, booked.settle, rid)
      adjust('pending', kept and kept.settle and 0 or 1)
    else
      call('ZREM', keys.pending, rid)
      adjust('pending', -1)
    end
  end
  if not kept then
    add_due('u' .. rid, booked.over_at)
  end
  local entry = entry_of(rid, booked)
  local kept_entry = kept and entry_of(rid, kept)
  if entry ~= kept_entry then
    if kept then
      call('ZREM', keys.processes, kept_entry)
    end
    call('ZADD', keys.processes, 0, entry)
    adjust('held', (booked.held and 1 or 0) - (kept and kept.held and 1 or 0))
  end
  write('r' .. rid, pack(booked))
end

--- Take a reservation, as it is kept, out of the books.
local function drop(rid, kept)
  if kept.settle then
    call('ZREM', keys.pending, rid)
    adjust('pending', -1)
  end
  if kept.over_at then
    call('ZREM', keys.due, 'u' .. rid)
  end
  call('ZREM', keys.processes, entry_of(rid, kept))
  adjust('held', kept.held and -1 or 0)
  write('r' .. rid, false)
end

--- Put a reservation where it belongs: pending, held, covered and known, or out.
local function review(rid, booked)
  if booked.settle then
    if booked.settle >= state.covers_to then
      return keep(rid, booked)
    end
    booked.settle = false
  end
  local live = booked.open == 1 and booked.over_at
  booked.held = live and booked.kind == HOLD and booked.placed == 1 and heard(booked.process) and true or false
  if live or (booked.over_at and (booked.kind == TRACK or booked.kind == STARTED)) then
    return keep(rid, booked)
  end
  local kept = reservation(rid)
  if kept then
    drop(rid, kept)
  end
end
