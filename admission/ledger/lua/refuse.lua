-- refuse: the provider refused the call: cancel the booking, cool the fleet down, and take a seat at the head.
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
-- ARGV[6]  age_ms         ms since the refusal
-- ARGV[7]  retry_after_ms ms, as the provider told it
-- ARGV[8]  seat           text, empty: do not wait
-- ARGV[9]  lane           text
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms age_ms position limit in_use retry_after_ms
--            usage_age_ms pause_reason error
-- writes     drops the reservation, withdraws all offers, opens or lengthens the cool-down, enters the seat; the one
--            TTL of all keys (twice max_call_duration, at least 1 h) is renewed when a quarter has gone; none while
--            paused
-- atomicity  all or nothing, so the caller never loses its place; sent again it finds its seat and cools no further

local keys = KEYS
local run_id, process, epoch, policy, rid, age_ms, retry_after_ms, seat, lane = unpack(ARGV)
epoch, age_ms, retry_after_ms = tonumber(epoch), tonumber(age_ms), tonumber(retry_after_ms)
local wanted = {'r' .. rid, 's' .. seat}

--@include end_call
--@include room
--@include open

--- Open the cool-down, or double it when the refused call was claimed after its end.
local function cool(at, claimed)
  local span = math.min(retry_after_ms, RETRY_MAX_MS)
  if state.cool_span == 0 or claimed > state.cool_since then
    local doubled = math.min(2 * state.cool_span, math.max(COOL_MAX_MS, state.refresh))
    state.cool_span = doubled > 0 and doubled or state.refresh
    state.cool_since = now
    span = math.max(span, state.cool_span)
  end
  state.cool_after = math.max(state.cool_after, at)
  state.cool_until = math.max(state.cool_until, at + span)
  state_changed = true
end

local booked = reservation(rid)
if booked then
  cool(now - age_ms, booked.claimed)
  end_call(rid, '')
  the_line().withdraw_offers()
end
local code, tail
local granted, ahead = 0, 0
if seat == '' then
  code = OK
else
  me.asked = now
  local known = read('s' .. seat)
  if known == '' then
    code, ahead = WITHDRAWN, number_of('waiting')
  else
    if not known then
      local first = tonumber(redis.call('ZRANGE', keys.line, 0, 0, 'WITHSCORES')[2])
      the_line().enter(seat, lane, math.min(now * SCORES_PER_MS, first - 1))
    end
    code, ahead = IN_LINE, the_line().position(seat)
  end
end

--@inline verdict
--@inline reply
