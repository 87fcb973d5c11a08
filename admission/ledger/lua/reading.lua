-- reading: write what became of a reading.
--
-- ARGV[1]     t0_ms          ms, the token
-- ARGV[2]     outcome        Outcome
-- ARGV[3]     limit          slots
-- ARGV[4]     count          calls
-- ARGV[5]     stamp_us       us of the provider's clock, or -1
-- ARGV[6]     retry_after_ms ms
-- ARGV[7]     error          text
-- returns     code limit_before held usage_age_ms closed cooling_ms idle_ms seen_ms
-- writes      the newest reading, and the reservations that it covers
-- atomicity   all or nothing; sent again it is dropped as overlapping

local t0_ms, outcome, limit, count, stamp_us, retry_after_ms, error = unpack(ARGV, first, last)
t0_ms, outcome, limit = tonumber(t0_ms), tonumber(outcome), tonumber(limit)
count, stamp_us, retry_after_ms = tonumber(count), tonumber(stamp_us), tonumber(retry_after_ms)

--@include review
--@include live

local function fail()
  local backoff = math.min(math.max(BACKOFF_MAX_MS, state.refresh), state.refresh * 2 ^ math.min(state.fails, 16))
  state.fails = state.fails + 1
  state.retry_at = now + math.min(RETRY_MAX_MS, math.max(backoff, retry_after_ms))
  state.error = error
end

--- Take an answer with an earlier timestamp; say whether it goes on from those before. See `readings.py`.
local function earlier_agree()
  local at_ms = math.floor(stamp_us / 1000)
  local least, most = at_ms - now, at_ms - t0_ms + state.lag
  local both_least, both_most = math.max(least, state.earlier_least), math.min(most, state.earlier_most)
  if state.earlier >= 0 and stamp_us > state.earlier and both_least <= both_most then
    state.earlier_least, state.earlier_most = both_least, both_most
    state.earlier_answers = state.earlier_answers + 1
  elseif stamp_us ~= state.earlier then
    state.earlier_answers, state.earlier_since = 1, t0_ms
    state.earlier_least, state.earlier_most = least, most
  end
  state.earlier = stamp_us
  return state.earlier_answers >= LEAST_AGREEING
end

--- Drop an answer: a cache may keep it, and answer with it later. See `readings.py`.
local function drop()
  if stamp_us > state.stamp then
    state.stamp = stamp_us + 1
  end
end

--- Say whether an answer repeats an old one.
local function is_cached()
  if stamp_us >= 0 and stamp_us < state.stamp then
    if not earlier_agree() or t0_ms - state.earlier_since < state.staleness then
      return true
    end
  elseif stamp_us >= 0 and stamp_us == state.stamp and limit == state.limit and count == state.count then
    state.earlier = -1
    return true
  end
  state.earlier = -1
  return false
end

--- Fetch the records of reservations.
local function fetch_all(rids)
  for first = 1, #rids, 1000 do
    local fields = {}
    for index = first, math.min(first + 999, #rids) do
      fields[#fields + 1] = 'r' .. rids[index]
    end
    for index, text in ipairs(redis.call('HMGET', keys.account, unpack(fields))) do
      -- What this request has changed already is not in the hash yet.
      if texts[fields[index]] == nil then
        texts[fields[index]] = text
      end
    end
  end
end

local function cover()
  local covered = redis.call('ZRANGEBYSCORE', settled(keys.pending), '-inf', '(' .. string.format('%d', t0_ms))
  fetch_all(covered)
  for _, rid in ipairs(covered) do
    review(rid, reservation(rid))
  end
end

--- Note how late calls come into the count. See `visibility.py`.
local function look_for_missing()
  local held, young = number_of('held'), {}
  local may_be_missing = count < held + number_of('pending')
  if state.missed == 0 and not may_be_missing then
    return
  end
  if may_be_missing then
    local pending = redis.call('ZRANGEBYSCORE', settled(keys.pending), '-inf', '(+inf')
    fetch_all(pending)
    for _, rid in ipairs(pending) do
      local booked = reservation(rid)
      local age = t0_ms - (booked.settle - booked.lag)
      if is_live(booked) and age > 0 then
        young[#young + 1] = age
      end
    end
    table.sort(young)
  end
  local missing = held + #young - count
  if state.missed > 0 and clock.gone == state.missed_gone and missing <= 0 then
    if state.missed >= state.seen or now - state.seen_at > REMEMBER_MS then
      state.seen, state.seen_at = state.missed, now
    end
  end
  state.missed = 0
  if missing > 0 then
    state.missed = missing <= #young and young[missing] or state.lag + 1
    state.missed_gone = clock.gone
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
    drop()
    return OVERLAPPING
  end
  if span > state.staleness then
    drop()
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
  look_for_missing()
  return count < number_of('held') and DISBELIEVED or OK
end

local limit_before = state.limit
code = reading()
--@inline usage_age
local idle_ms = clock.claimed ~= 0 and now - clock.claimed or -1
tail = {code, limit_before, number_of('held'), usage_age, closed() or 0, state.cool_span, idle_ms, state.seen}
