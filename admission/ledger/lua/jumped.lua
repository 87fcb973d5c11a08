-- jumped: the server's clock ran ahead of a process's own: begin a new epoch.
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
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms
-- writes     forgets all bookings and seats; the one TTL of all keys (twice max_call_duration, at least 1 h) is renewed
--            when a quarter has gone; none while paused
-- atomicity  the reply is foreign, as every later one of the old epoch

local keys = KEYS
local run_id, process, epoch, policy = unpack(ARGV)
epoch = tonumber(epoch)
local wanted = {}

--@include open

--@inline epoch

local code, tail = FOREIGN, {}

--@inline reply
