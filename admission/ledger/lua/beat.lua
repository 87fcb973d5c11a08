-- beat: hear a process; tell it its offers, the pause, and the policy that the fleet agreed on.
--
-- ARGV[1]     pause_at_ms    ms, stamp of the process's newest word on pausing
-- ARGV[2]     pause_on       0 or 1
-- ARGV[3]     pause_reason   text
-- ARGV[4]     lanes_at_ms    ms, stamp of the newest word on lanes that the process knows of
-- ARGV[5...]  entries        11 for each reservation listed: the fields of Entry, times in ms
-- returns     code pause_at_ms pause_on pause_reason policy lapsed behind_ms lanes_at_ms lanes lane... seat...
-- writes      extends open place blocks, books again what was forgotten; takes a newer word on pausing over
-- atomicity   all or nothing; sent again it changes nothing

local pause_at_ms, pause_on, pause_reason, lanes_at_ms = unpack(ARGV, first, first + 3)
pause_at_ms, pause_on, lanes_at_ms = tonumber(pause_at_ms), tonumber(pause_on), tonumber(lanes_at_ms)
local entries = {}
for first = first + 4, last, 11 do
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
--@include live
--@include pausing
--@include told

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
  if entry.open == 0 then
    count_gone(booked)
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
    '%d,%d,%d,%d,%d,%d,%d,%d',
    state.refresh, state.staleness, state.lease, state.headroom, state.max_waiting, state.lag, state.duration, state.pace
  )
end

if pause_at_ms > state.pause_at then
  set_pause(pause_at_ms, pause_on, pause_reason)
end
for _, entry in ipairs(entries) do
  list(entry)
end
tail = {OK, state.pause_at, state.pause_on, state.pause_reason, agreed(), clock.lapsed, clock.offset, state.lanes_at, 0}
if lanes_at_ms ~= state.lanes_at then
  tail[9] = #all_lanes()
  lane_rows(tail)
end
if number_of('waiting') > 0 then
  local line = the_line()
  line.serve()
  local seats = line.offered_to(process)
  for _, seat in ipairs(seats) do
    tail[#tail + 1] = seat
  end
  if #seats > 0 or line.has_parked(process) then
    me.asked = now
  end
end
