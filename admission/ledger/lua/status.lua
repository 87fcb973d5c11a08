-- status: tell the account's state.
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
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms limit count in_use room pending held untracked
--            usage_age_ms booked pause_on pause_reason
-- writes     nothing of its own; the one TTL of all keys (twice max_call_duration, at least 1 h) is renewed when a
--            quarter has gone; none while paused
-- atomicity  one moment

local keys = KEYS
local run_id, process, epoch, policy = unpack(ARGV)
epoch = tonumber(epoch)
local wanted = {}

--@include room
--@include open

--@inline usage_age
local booked = redis.call('ZLEXCOUNT', keys.processes, '[h', '(p')
local untracked = math.max(0, math.max(0, state.count) - (booked - number_of('pending')))
local code, tail = OK, {
  state.limit, state.count, in_use(), room(), number_of('pending'), number_of('held'), untracked, usage_age, booked,
  state.pause_on, state.pause_reason,
}

--@inline reply
