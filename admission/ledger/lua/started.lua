-- started: book a call that the fleet did not place.
--
-- KEYS[1]  account        hash: what the account has one of, and a record for each name in the book
-- KEYS[2]  pending        zset: reservations by settle time
-- KEYS[3]  due            zset: what time makes due, by that time
-- KEYS[4]  processes      zset: by name each process, its reservations and its seats
-- KEYS[5]  line           zset: seats by score
-- KEYS[6]  heads          zset: the first seat of each process that may be offered a slot, by score
-- KEYS[7]  turns          zset: open offers, and passed-over processes, by their end
-- ARGV[1]  run_id         text, the server's, or empty
-- ARGV[2]  process        text
-- ARGV[3]  epoch          number
-- ARGV[4]  policy         text, see PolicyWire
-- ARGV[5]  rid            text
-- ARGV[6]  call_id        text
-- ARGV[7]  age_ms         ms since the provider accepted it
-- ARGV[8]  lag_ms         ms
-- ARGV[9]  duration_ms    ms
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms
-- writes     books the reservation and binds its call id, unless the id is known; the one TTL of all keys (twice
--            max_call_duration, at least 1 h) is renewed when a quarter has gone; none while paused
-- atomicity  all or nothing; sent again it changes nothing

local keys = KEYS
local run_id, process, epoch, policy, rid, call_id, age_ms, lag_ms, duration_ms = unpack(ARGV)
epoch, age_ms, lag_ms, duration_ms = tonumber(epoch), tonumber(age_ms), tonumber(lag_ms), tonumber(duration_ms)
local wanted = {'r' .. rid, 'c' .. call_id}

--@include booking
--@include binding
--@include review
--@include open

local function started()
  if reservation(rid) or binding(call_id) then
    return UNKNOWN
  end
  local booked = new_reservation('default', STARTED, now, 0, lag_ms, now + duration_ms)
  booked.placed = 1
  booked.settle = now - age_ms + lag_ms
  bind(rid, booked, call_id)
  review(rid, booked)
  return OK
end

local code, tail = started(), {}

--@inline reply
