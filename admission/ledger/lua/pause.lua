-- pause: pause or resume the account; the newest word counts.
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
-- ARGV[5]  on             0 or 1: resume or pause
-- ARGV[6]  reason         text
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms pause_at_ms
-- writes     the pause; withdraws all offers; removes the TTL of all keys, or sets it again; the one TTL of all keys
--            (twice max_call_duration, at least 1 h) is renewed when a quarter has gone; none while paused
-- atomicity  the very next claim is refused

local keys = KEYS
local run_id, process, epoch, policy, on, reason = unpack(ARGV)
epoch, on = tonumber(epoch), tonumber(on)
local wanted = {}

--@include pausing
--@include open

set_pause(math.max(now, state.pause_at + 1), on, reason)
local code, tail = OK, {state.pause_at}

--@inline reply
