-- The accounting rule: which reservations are pending, covered or held, and what moves them. See `rule.py`.
--
-- `keep` and `drop` are the only ones that enter a reservation anywhere: in `pending` by settle time, and in
-- `processes` under its process as h<eld>, o<pen> or l<eft>, there by the end of `max_call_duration`. So `due` needs one
-- entry for each process, u<process>, at or before the first of these ends. A covered reservation has no settle time,
-- one whose `max_call_duration` is over no end: `NONE`.

--- Return a reservation as it is kept, nil when it is not booked.
local function reservation(rid)
  local text = read('r' .. rid)
  return text and UNPACK_RESERVATION(text) or nil
end

local function entry_of(rid, booked)
  local letter = booked.held == 1 and 'h' or booked.open == 1 and 'o' or 'l'
  local over_at = booked.over_at == NONE and LAST_MS or math.min(booked.over_at, LAST_MS)
  return letter .. booked.process .. '\0' .. string.format('%013d', over_at) .. rid
end

local function keep(rid, booked)
  local kept = reservation(rid)
  local settle = kept and kept.settle or NONE
  if booked.settle ~= settle then
    if booked.settle == NONE then
      redis.call('ZREM', keys.pending, rid)
      adjust('pending', -1)
    else
      redis.call('ZADD', keys.pending, booked.settle, rid)
      adjust('pending', settle == NONE and 1 or 0)
    end
  end
  if not kept and booked.over_at < me.next_over then
    -- A process that lapsed and is heard again may have older reservations.
    redis.call('ZADD', keys.due, 'LT', booked.over_at, 'u' .. process)
    clock.next_due = math.min(clock.next_due, booked.over_at)
    me.next_over = booked.over_at
  end
  local entry, kept_entry = entry_of(rid, booked), kept and entry_of(rid, kept)
  if entry ~= kept_entry then
    if kept then
      redis.call('ZREM', keys.processes, kept_entry)
    end
    redis.call('ZADD', keys.processes, 0, entry)
    adjust('held', booked.held - (kept and kept.held or 0))
  end
  write('r' .. rid, PACK_RESERVATION(booked))
end

--- Take a reservation, as it is kept, out of the books.
local function drop(rid, kept)
  if kept.settle ~= NONE then
    redis.call('ZREM', keys.pending, rid)
    adjust('pending', -1)
  end
  redis.call('ZREM', keys.processes, entry_of(rid, kept))
  adjust('held', -kept.held)
  write('r' .. rid, false)
end

--- Put a reservation where it belongs: pending, held, covered and known, or out.
local function review(rid, booked)
  if booked.settle ~= NONE then
    if booked.settle >= state.covers_to then
      return keep(rid, booked)
    end
    booked.settle = NONE
  end
  local live = booked.open == 1 and booked.over_at ~= NONE
  local tracked = (booked.kind == TRACK or booked.kind == STARTED) and booked.over_at ~= NONE
  booked.held = live and booked.kind == HOLD and booked.placed == 1 and heard(booked.process) and 1 or 0
  if live or tracked then
    return keep(rid, booked)
  end
  local kept = reservation(rid)
  if kept then
    drop(rid, kept)
  end
end
