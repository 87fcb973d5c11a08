-- duty: ask to be the fleet's one reader; a process with a wrong key gets no duty while another asks.
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
-- ARGV[5]  timeout_ms     ms, the source's
-- ARGV[6]  force          0 or 1: also before a reading is due
-- returns    code now_ms epoch since_ms waiting due_at_ms next_at_ms token_ms
-- writes     hands the token out; the one TTL of all keys (twice max_call_duration, at least 1 h) is renewed when a
--            quarter has gone; none while paused
-- atomicity  one process at most has the token; sent again it gets the same one

local keys = KEYS
local run_id, process, epoch, policy, timeout_ms, force = unpack(ARGV)
epoch, timeout_ms, force = tonumber(epoch), tonumber(timeout_ms), tonumber(force)
local wanted = {}

--@include open

--- Say whether another process, whose key is not wrong, wants to dial.
local function is_wanted()
  for _, name in ipairs(redis.call('ZRANGEBYLEX', keys.processes, '[p', '(q')) do
    local member = heard(string.sub(name, 2))
    if member ~= me and member.barred == 0 and member.asked >= 0 and now - member.asked < DEMAND_MS then
      return true
    end
  end
  return false
end

local function duty()
  me.asked = now
  if me.barred == 1 and is_wanted() then
    return NOT_DUE
  end
  local taken = state.reader ~= '' and now < state.reader_until
  if taken and state.reader == process then
    return GRANTED -- its first request's reply was lost
  end
--@inline due_at
  if taken or (now < due_at and force == 0) or now <= math.max(state.t1, state.begun) then
    return NOT_DUE
  end
  state.reader = process
  state.begun = now
  state.reader_until = now + math.min(timeout_ms, math.max(SHORTEST_TOKEN_MS, 4 * state.mean))
  state_changed = true
  return GRANTED
end

local code = duty()
local tail = {code == GRANTED and state.begun or 0}

--@inline reply
