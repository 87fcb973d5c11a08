-- beat: hear a process; tell it its offers, the pause, and the policy that the fleet agreed on.
--
-- ARGV[1]     pause_at_ms    ms, stamp of the process's newest word on pausing
-- ARGV[2]     pause_on       0 or 1
-- ARGV[3]     pause_reason   text
-- ARGV[4...]  entries        11 for each reservation listed: the fields of Entry, times in ms
-- returns     code pause_at_ms pause_on pause_reason policy lapsed seat...
-- writes      extends open place blocks, books again what was forgotten; takes a newer word on pausing over
-- atomicity   all or nothing; sent again it changes nothing

local pause_at_ms, pause_on, pause_reason = unpack(ARGV, first, first + 2)
pause_at_ms, pause_on = tonumber(pause_at_ms), tonumber(pause_on)
local entries = {}
for first = first + 3, last, 11 do
  local entry = {rid = ARGV[first], lane = ARGV[first + 1], kind = tonumber(ARGV[first + 2])}
  entry.claimed_ms, entry.timeout_ms = tonumber(ARGV[first + 3]), tonumber(ARGV[first + 4])
  entry.lag_ms, entry.placed = tonumber(ARGV[first + 5]), tonumber(ARGV[first + 6])
  entry.open, entry.settle_ms = tonumber(ARGV[first + 7]), tonumber(ARGV[first + 8])
  entry.left_ms, entry.call_id = tonumber(ARGV[first + 9]), ARGV[first + 10]
  entries[#entries + 1] = entry
end

--@include booking
--@include binding
--@include review
--@include pausing

--- An open place block is extended, what was forgotten is booked again.
local function list(entry)
  local rid = entry.rid
  if entry.call_id ~= '' and binding(entry.call_id) == '' then
    return
  end
  local settle = now + entry.settle_ms
  local booked = reservation(rid)
  if not booked then
    local claimed, over_at = now - entry.claimed_ms, now + entry.left_ms
    booked = new_reservation(entry.lane, entry.kind, claimed, entry.timeout_ms, entry.lag_ms, over_at)
  end
  booked.open = entry.open
  booked.placed = math.max(booked.placed, entry.placed)
  if booked.settle == NONE then
    booked.held = 0
    booked.settle = settle
  elseif booked.open == 1 and booked.placed == 0 and booked.kind ~= HOLD then
    booked.settle = math.max(booked.settle, settle)
  end
  if entry.call_id ~= '' then
    bind(rid, booked, entry.call_id)
  end
  review(rid, booked)
end

local function agreed()
  return string.format(
    '%d,%d,%d,%d,%d,%d,%d',
    state.refresh, state.staleness, state.lease, state.headroom, state.max_waiting, state.lag, state.duration
  )
end

if pause_at_ms > state.pause_at then
  set_pause(pause_at_ms, pause_on, pause_reason)
end
for _, entry in ipairs(entries) do
  list(entry)
end
tail = {OK, state.pause_at, state.pause_on, state.pause_reason, agreed(), clock.lapsed}
if number_of('waiting') > 0 then
  local line = the_line()
  line.serve()
  for _, seat in ipairs(line.offered_to(process)) do
    tail[#tail + 1] = seat
  end
  if #tail > 6 or line.has_parked(process) then
    me.asked = now
  end
end
