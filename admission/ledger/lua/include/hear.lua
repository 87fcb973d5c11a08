-- Hear the process; after a silence of all, give everybody time to be heard. See `book.py`.
local beyond = now - clock.heard - math.floor(state.lease / 3)
if beyond > 0 then
  local since = clock.grace_until - state.lease
  for _, name in ipairs(redis.call('ZRANGEBYLEX', settled(keys.processes), '[p', '(q')) do
    local member = heard(string.sub(name, 2))
    member.heard = member.heard >= since and now - 1 or member.heard + beyond
    write(name, PACK_MEMBER(member))
  end
  clock.grace_until = now + state.lease
end
clock.heard = now

me = heard(process)
if not me then
  me = NEW_MEMBER
  me.since = now
  members[process] = me
  put(keys.processes, 'p' .. process)
  add_due('p' .. process, now + state.lease + 1)
end
me.heard = now
if learnt >= me.handed_at then
  me.handed = ''
end
if me.policy ~= policy then
  me.policy = policy
--@inline agree
end
if me.silent == 1 then
  me.silent = 0
  the_line().let_back(process, me)
end
