-- Hear the process; after a silence of all, give everybody time to be heard.
if now - clock.heard > math.floor(state.lease / 3) then
  clock.grace_until = math.max(clock.grace_until, now + state.lease)
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
