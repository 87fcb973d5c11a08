-- duty: ask to be the fleet's one reader; a process with a wrong key gets no duty while another asks.
--
-- ARGV[1]     timeout_ms     ms, the source's
-- ARGV[2]     force          0 or 1: also before a reading is due
-- returns     code token_ms
-- writes      hands the token out
-- atomicity   one process at most has the token; sent again it gets the same one

local timeout_ms, force = unpack(ARGV, first, last)
timeout_ms, force = tonumber(timeout_ms), tonumber(force)

--- Say whether another process, whose key is not wrong, wants to dial.
local function is_wanted()
  for _, name in ipairs(redis.call('ZRANGEBYLEX', settled(keys.processes), '[p', '(q')) do
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

code = duty()
tail = {code, code == GRANTED and state.begun or 0}
