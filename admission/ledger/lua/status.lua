-- status: tell the account's state.
--
-- returns     code limit count in_use room pending held untracked usage_age_ms seen_ms booked pause_on pause_reason lane...
-- writes      nothing of its own
-- atomicity   one moment

--@include room
--@include told

--@inline usage_age
local booked = redis.call('ZLEXCOUNT', settled(keys.processes), '[h', '(p')
local untracked = math.max(0, math.max(0, state.count) - (booked - number_of('pending')))
local room = math.max(0, free_slots() - state.headroom)
tail = {
  OK, state.limit, state.count, in_use(), room, number_of('pending'), number_of('held'), untracked, usage_age, state.seen, booked,
  state.pause_on, state.pause_reason,
}
lane_rows(tail, function(lane)
  return {waiting_in(lane), number_in('b', lane)}
end)
