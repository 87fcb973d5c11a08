-- The end of every request: offer what is free, send the changes, renew the TTL, tell the wakes, reply.

local function send_changes()
  write('clock', pack(clock))
  if state_changed then
    write('state', pack(state))
  end
  if me and members[process] == me then
    write('p' .. process, pack(me))
  end
  local set, gone = {}, {}
  for field, text in pairs(changes) do
    if text then
      set[#set + 1] = field
      set[#set + 1] = text
    else
      gone[#gone + 1] = field
    end
  end
  -- Lua passes some thousands of arguments at most.
  for first = 1, #set, 1000 do
    call('HSET', keys.account, unpack(set, first, math.min(first + 999, #set)))
  end
  for first = 1, #gone, 1000 do
    call('HDEL', keys.account, unpack(gone, first, math.min(first + 999, #gone)))
  end
end

--- Return the command that renews the TTL of all keys, nil while three quarters of it are left; none while paused.
local function renewal()
  local ttl_ms = math.max(2 * state.duration, SHORTEST_TTL_MS)
  if state.pause_on == 1 then
    if clock.expires ~= 0 then
      clock.expires = 0
      return {'PERSIST'}
    end
  elseif clock.expires - now < 0.75 * ttl_ms then
    clock.expires = now + ttl_ms
    return {'PEXPIRE', ttl_ms}
  end
end

local function finish(code, since, tail)
  local waiting = count_waiting()
  local reply = {code, now, state.epoch, since, waiting, due_at(), waiting > 0 and the_line().next_at() or 0}
  for index = 1, #tail do
    reply[7 + index] = tail[index]
  end
  local command = renewal()
  send_changes()
  if command then
    for _, key in pairs(keys) do
      call(command[1], key, unpack(command, 2))
    end
  end
  if next(wakes) then
    local account = string.match(keys.account, '{(.*)}')
    for owner, seats in pairs(wakes) do
      call('PUBLISH', 'admission:wake:' .. owner, account .. '\n' .. table.concat(seats, '\n'))
    end
  end
  return reply
end
