-- status: tell the account's state.
--
-- KEYS[1] account_key    hash  what the account has one of, and a record for each name in the book
-- KEYS[2] pending_key    zset  reservation by settle time
-- KEYS[3] due_key        zset  what time makes due, by that time
-- KEYS[4] processes_key  zset  by name: each process, and its reservations and seats
-- KEYS[5] line_key       zset  seat by score
-- KEYS[6] heads_key      zset  first seats that may be offered a slot, by score
-- KEYS[7] turns_key      zset  offers and passed-over processes by their end
-- ARGV[1]  run_id         text, the server's, or empty
-- ARGV[2]  process        text
-- ARGV[3]  epoch          number
-- ARGV[4]  policy         text, see PolicyWire
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms limit count in_use room pending held untracked
--            usage_age_ms booked pause_on pause_reason
-- writes     nothing of its own; the one TTL of all keys (twice max_call_duration, at least 1 h) is renewed when a
--            quarter has gone; none while paused
-- atomicity  one moment

local account_key, pending_key, due_key, processes_key, line_key, heads_key, turns_key = unpack(KEYS)
local run_id, process, epoch, policy = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local wanted = {}

--@include open

local booked = call('ZLEXCOUNT', processes_key, '[h', '(p')
local untracked = math.max(0, math.max(0, state.count) - (booked - count_pending()))
return answer(OK, {
  state.limit, state.count, in_use(), room(), count_pending(), count_held(), untracked, usage_age(), booked,
  state.pause_on, state.pause_reason,
})
