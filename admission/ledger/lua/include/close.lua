-- The end of a run: send the changes, renew the TTL, tell the wakes, and reply.

--@inline due_at
local waiting = number_of('waiting')
local is_ours = epoch == state.epoch
local since, next_at = is_ours and me.since or 0, waiting > 0 and the_line().next_at() or 0
local granted = is_ours and learnt >= 0 and me.handed or ''

-- All keys have one TTL, renewed when a quarter of it has gone; none while paused.
local ttl_ms = math.max(2 * state.duration, SHORTEST_TTL_MS)
local paused = state.pause_on == 1 or any_paused()
local renewed = not paused and clock.expires - now < 0.75 * ttl_ms
local persisted = paused and clock.expires ~= 0
if renewed or persisted then
  clock.expires = renewed and now + ttl_ms or 0
end

local set, gone = {'clock', PACK_CLOCK(clock)}, {}
if state_changed then
  set[3], set[4] = 'state', PACK_STATE(state)
end
for field, text in pairs(changes) do
  if text then
    set[#set + 1] = field
    set[#set + 1] = text
  else
    gone[#gone + 1] = field
  end
end
-- Last, for it may stand among the changes as it was halfway.
if me and members[process] == me then
  set[#set + 1] = 'p' .. process
  set[#set + 1] = PACK_MEMBER(me)
end
send('HSET', keys.account, set)
send('HDEL', keys.account, gone)

for _, key in ipairs(keys) do
  settled(key)
end
if renewed then
  for _, key in ipairs(keys) do
    redis.call('PEXPIRE', key, ttl_ms)
  end
elseif persisted then
  for _, key in ipairs(keys) do
    redis.call('PERSIST', key)
  end
end

if next(wakes) then
  local account = string.match(keys.account, '{(.*)}')
  for owner, seats in pairs(wakes) do
    -- Guards of one operating-system process share the part of their names before the dot, and its channel.
    local channel = 'admission:wake:' .. string.match(owner, '^[^.]*')
    redis.call('PUBLISH', channel, account .. '\n' .. table.concat(seats, '\n'))
  end
end
return {now, state.epoch, since, waiting, due_at, next_at, granted, unpack(answers)}
