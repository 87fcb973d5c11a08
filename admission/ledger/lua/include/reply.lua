-- The end of every request: offer what is free, send the changes, renew the TTL, tell the wakes, reply.

--- Return the command that renews the TTL of all keys, nil while three quarters of it are left; none while paused.
local function renewal()
  local ttl = math.max(2 * state.duration, SHORTEST_TTL_MS)
  if state.pause_on == 1 then
    if clock.expires ~= 0 then
      clock.expires = 0
      return {'PERSIST'}
    end
  elseif clock.expires - now < 0.75 * ttl then
    clock.expires = now + ttl
    return {'PEXPIRE', ttl}
  end
end

local function finish(code, since, tail)
  local reply = {code, now, state.epoch, since, count_waiting(), due_at(), next_at()}
  for index = 1, #tail do
    reply[7 + index] = tail[index]
  end
  local command = renewal()
  write_changes()
  if command then
    for _, key in ipairs({account_key, pending_key, due_key, processes_key, line_key, heads_key, turns_key}) do
      call(command[1], key, unpack(command, 2))
    end
  end
  if next(wakes) then
    local account = string.match(account_key, '{(.*)}')
    for told, seats in pairs(wakes) do
      -- Guards of one operating-system process share the part of their names before the dot, and its channel.
      call('PUBLISH', 'admission:wake:' .. string.match(told, '^[^.]*'), account .. '\n' .. table.concat(seats, '\n'))
    end
  end
  return reply
end
