-- holders: tell who holds what, by its standing and its process; of more than `most` the first.
--
-- ARGV[1]     most           number of reservations
-- returns     code booked holder...
-- writes      nothing of its own
-- atomicity   one moment

local most = unpack(ARGV, first, last)
most = tonumber(most)

--@include reservation

local entries = redis.call('ZRANGEBYLEX', settled(keys.processes), '[h', '(p', 'LIMIT', 0, most)
tail = {OK, redis.call('ZLEXCOUNT', keys.processes, '[h', '(p')}
for _, entry in ipairs(entries) do
  -- What stands in an entry before the reservation's id: see `reservation`.
  local rid = string.sub(entry, string.find(entry, '\0', 1, true) + 14)
  local booked = reservation(rid)
  local stays = booked.kind == TRACK or booked.kind == STARTED
  local standing = booked.settle ~= NONE and PENDING or booked.held == 1 and HELD or stays and TRACKED or COVERED
  for _, item in ipairs({
    rid, booked.lane, booked.process, booked.kind, now - booked.claimed, standing, booked.placed, booked.call_id,
  }) do
    tail[#tail + 1] = item
  end
end
