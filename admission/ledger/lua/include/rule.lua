-- The accounting rule: which reservations are pending, covered or held, and what moves them. See `rule.py`.
--
-- `keep` and `drop` are the only ones that enter a reservation anywhere: in `pending` by settle time, in `due` by the
-- end of `max_call_duration`, and in `processes` under its process as h<eld>, o<pen> or l<eft>.

--- Return a reservation, nil when it is not booked.
local function reservation(rid)
  local text = read('r' .. rid)
  if not text then
    return nil
  end
  local at = cmsgpack.unpack(text)
  return {
    process = at[1], lane = at[2], kind = at[3], claimed = at[4], timeout = at[5], lag = at[6], placed = at[7],
    open = at[8], call_id = at[9], settle = at[10], over_at = at[11], held = at[12],
    kept = true, kept_settle = at[10], kept_over_at = at[11], kept_held = at[12], kept_open = at[8],
  }
end

--- Return a new one; its settle time and end are the caller's to set. `settle` is false once it is covered.
local function new_reservation(by, lane, kind, claimed_at, timeout, lag)
  return {
    process = by, lane = lane, kind = kind, claimed = claimed_at, timeout = timeout, lag = lag, placed = 0,
    open = 0, call_id = '', settle = false, over_at = false, held = false,
    kept = false, kept_settle = false, kept_over_at = false, kept_held = false, kept_open = 0,
  }
end

local function entry_of(rid, booked, held, open)
  return (held and 'h' or open == 1 and 'o' or 'l') .. booked.process .. '\0' .. rid
end

local function keep(rid, booked)
  if booked.settle ~= booked.kept_settle then
    if booked.settle then
      call('ZADD', pending_key, booked.settle, rid)
      adjust('pending', booked.kept_settle and 0 or 1)
    else
      call('ZREM', pending_key, rid)
      adjust('pending', -1)
    end
    booked.kept_settle = booked.settle
  end
  if booked.over_at ~= booked.kept_over_at then
    if booked.over_at then
      call('ZADD', due_key, booked.over_at, 'u' .. rid)
    else
      call('ZREM', due_key, 'u' .. rid)
    end
    booked.kept_over_at = booked.over_at
  end
  if not booked.kept or booked.held ~= booked.kept_held or booked.open ~= booked.kept_open then
    if booked.kept then
      call('ZREM', processes_key, entry_of(rid, booked, booked.kept_held, booked.kept_open))
      adjust('held', booked.kept_held and -1 or 0)
    end
    call('ZADD', processes_key, 0, entry_of(rid, booked, booked.held, booked.open))
    adjust('held', booked.held and 1 or 0)
    booked.kept, booked.kept_held, booked.kept_open = true, booked.held, booked.open
  end
  write('r' .. rid, cmsgpack.pack({
    booked.process, booked.lane, booked.kind, booked.claimed, booked.timeout, booked.lag, booked.placed,
    booked.open, booked.call_id, booked.settle, booked.over_at, booked.held,
  }))
end

local function drop(rid, booked)
  if booked.kept_settle then
    call('ZREM', pending_key, rid)
    adjust('pending', -1)
  end
  if booked.kept_over_at then
    call('ZREM', due_key, 'u' .. rid)
  end
  if booked.kept then
    call('ZREM', processes_key, entry_of(rid, booked, booked.kept_held, booked.kept_open))
    adjust('held', booked.kept_held and -1 or 0)
    write('r' .. rid, false)
  end
end

--- Put a reservation where it belongs: pending, held, covered and known, or out.
local function review(rid, booked)
  if booked.settle then
    if booked.settle >= state.t0 then
      return keep(rid, booked)
    end
    booked.settle = false
  end
  local live = booked.open == 1 and booked.over_at
  booked.held = live and booked.kind == HOLD and booked.placed == 1 and member(booked.process) and true or false
  local tracked = booked.kind == TRACK or booked.kind == STARTED
  if live or (tracked and booked.over_at) then
    return keep(rid, booked)
  end
  drop(rid, booked)
end

--- Return what a call id is bound to: a reservation, '' when the call is over, nil when the id is not known.
local function binding(call_id)
  return read('c' .. call_id) or (call('ZSCORE', due_key, 'c' .. call_id) and '' or nil)
end

--- Return the other reservation under a call id, if it was booked when the call was reported as started.
-- Any other under the same id is a caller's mistake and keeps its slot: two calls may be live.
local function twin_of(rid, call_id)
  local other = read('c' .. call_id)
  local booked = other and other ~= rid and reservation(other)
  if booked and booked.kind == STARTED then
    return other, booked
  end
end

--- Bind a call id; a call that was reported as started under it merges into the reservation.
local function bind(rid, booked, call_id)
  local twin, started = twin_of(rid, call_id)
  booked.call_id = call_id
  write('c' .. call_id, rid)
  call('ZADD', due_key, math.max(now + REMEMBER_MS, booked.over_at or 0), 'c' .. call_id)
  if twin then
    if booked.settle then
      booked.settle = math.min(booked.settle, started.settle or -1)
    end
    drop(twin, started)
  end
end

--- The call is surely over, or was surely never placed: out of the books at once.
local function end_call(rid, call_id)
  local booked = reservation(rid)
  if call_id == '' and booked then
    call_id = booked.call_id
  end
  if call_id ~= '' then
    local twin, started = twin_of(rid, call_id)
    if twin then
      drop(twin, started)
    end
    if read('c' .. call_id) then
      write('c' .. call_id, false)
    end
    call('ZADD', due_key, now + REMEMBER_MS, 'c' .. call_id)
  end
  if not booked then
    return UNKNOWN
  end
  drop(rid, booked)
  return OK
end

--- The block was left at `at`.
local function leave_block(rid, at, by_value)
  local booked = reservation(rid)
  if not booked then
    return UNKNOWN
  end
  booked.open = 0
  if booked.settle and (by_value or booked.placed == 1) then
    booked.settle = math.min(booked.settle, at + booked.lag)
  end
  review(rid, booked)
  return OK
end
