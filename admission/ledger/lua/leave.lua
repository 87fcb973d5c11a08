-- leave: a block was left. A pending slot is never freed at once: an abandoned dial may still land.
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
-- ARGV[6]  age_ms         ms since the block was left
-- ARGV[7]  by_value       0 or 1: by value, or by an error before `placed`
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms
-- writes     moves the reservation's settle time, or drops it when it is covered; the one TTL of all keys (twice
--            max_call_duration, at least 1 h) is renewed when a quarter has gone; none while paused
-- atomicity  all or nothing; sent again it changes nothing

local keys = KEYS
local run_id, process, epoch, policy, rid, age_ms, by_value = unpack(ARGV)
epoch, age_ms, by_value = tonumber(epoch), tonumber(age_ms), tonumber(by_value)
local wanted = {'r' .. rid}

--@include block
--@include open

local code, tail = leave_block(rid, now - age_ms, by_value == 1), {}

--@inline reply
