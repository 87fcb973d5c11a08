-- reading: write what became of a reading.
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
-- ARGV[5]  t0_ms          ms, the token
-- ARGV[6]  outcome        Outcome
-- ARGV[7]  limit          slots
-- ARGV[8]  count          calls
-- ARGV[9]  stamp_us       us of the provider's clock, or -1
-- ARGV[10] retry_after_ms ms
-- ARGV[11] error          text
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms
-- writes     the newest reading, and the reservations that it covers; the one TTL of all keys (twice max_call_duration,
--            at least 1 h) is renewed when a quarter has gone; none while paused
-- atomicity  all or nothing; sent again it is dropped as overlapping

local keys = KEYS
local run_id, process, epoch, policy, t0_ms, outcome, limit, count, stamp_us, retry_after_ms, error = unpack(ARGV)
epoch, t0_ms, outcome, limit = tonumber(epoch), tonumber(t0_ms), tonumber(outcome), tonumber(limit)
count, stamp_us, retry_after_ms = tonumber(count), tonumber(stamp_us), tonumber(retry_after_ms)
local wanted = {}

--@include review
--@include open

local function fail()
  local backoff = math.min(math.max(BACKOFF_MAX_MS, state.refresh), state.refresh * 2 ^ math.min(state.fails, 16))
  state.fails = state.fails + 1
  state.retry_at = now + math.min(RETRY_MAX_MS, math.max(backoff, retry_after_ms))
  state.error = error
end

--- Say whether an answer repeats an old one; note an earlier timestamp that a later reading may continue.
local function is_cached()
  if stamp_us < 0 or state.stamp < 0 or stamp_us > state.stamp then
    state.earlier = -1
    return false
  end
  if stamp_us == state.stamp then
    state.earlier = -1
    return limit == state.limit and count == state.count
  end
  local continues = state.earlier >= 0 and state.earlier < stamp_us
  state.earlier = continues and -1 or stamp_us
  return not continues
end

local function cover()
  local covered = redis.call('ZRANGEBYSCORE', keys.pending, '-inf', '(' .. string.format('%d', t0_ms))
  for first = 1, #covered, 1000 do
    local fields = {}
    for index = first, math.min(first + 999, #covered) do
      fields[#fields + 1] = 'r' .. covered[index]
    end
    for index, text in ipairs(redis.call('HMGET', keys.account, unpack(fields))) do
      -- What this request has changed already is not in the hash yet.
      if texts[fields[index]] == nil then
        texts[fields[index]] = text
      end
    end
  end
  for _, rid in ipairs(covered) do
    review(rid, reservation(rid))
  end
end

local function reading()
  if outcome == READ or outcome == FINAL then
    me.barred = outcome == FINAL and 1 or 0
  end
  state_changed = true
  local mine = state.reader == process and state.begun == t0_ms
  if mine then
    state.reader, state.reader_until = '', 0
  end
  if outcome ~= READ then
    if mine and outcome == PASSING then
      fail()
    end
    return OK
  end
  local span = now - t0_ms
  state.mean = state.mean ~= 0 and state.mean + math.floor((span - state.mean) / 4) or span
  if t0_ms <= state.t1 then
    return OVERLAPPING
  end
  if span > state.staleness then
    state.error = "the provider's answer was older than max_staleness when it came"
    return TOO_OLD
  end
  state.fails, state.retry_at = 0, 0
  if is_cached() then
    state.error = 'the provider repeats an old answer: its timestamp does not move'
    return CACHED
  end
  state.limit, state.count, state.stamp = limit, count, stamp_us
  state.t0, state.t1, state.covers_to = t0_ms, now, t0_ms
  state.error = ''
  cover()
  return count < number_of('held') and DISBELIEVED or OK
end

local code, tail = reading(), {}

--@inline reply
