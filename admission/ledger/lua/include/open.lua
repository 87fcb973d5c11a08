-- The beginning of every request: read the account, refuse a foreign epoch, hear the process, run what is due.
-- A verb names the records that it will need in `wanted`, so that they come in one round.

--@include records
--@include line

local there = redis.call('EXISTS', unpack(keys))
local found = redis.call('HMGET', keys.account, 'clock', 'state', 'p' .. process, unpack(wanted))
texts['p' .. process] = found[3]
for index, field in ipairs(wanted) do
  texts[field] = found[3 + index]
end

--@inline clock

-- Ledger time never goes backwards: when the server's clock does, the offset takes up the step.
clock = found[1] and UNPACK_CLOCK(found[1]) or NEW_CLOCK
now = math.max(clock.last, server_now_ms + clock.offset)
clock.last, clock.offset = now, now - server_now_ms
state = found[2] and UNPACK_STATE(found[2]) or NEW_STATE
if not found[1] then
  clock.heard = now
end

if there < #keys or (run_id ~= state.run_id and run_id ~= '' and state.run_id ~= '') then
--@inline epoch
end
if run_id ~= state.run_id and run_id ~= '' then
  state.run_id, state_changed = run_id, true
end
if epoch ~= state.epoch then
  local code, tail = FOREIGN, {}
--@inline reply
end

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
  redis.call('ZADD', keys.processes, 0, 'p' .. process)
  add_due('p' .. process, now + state.lease + 1)
end
me.heard = now
if me.policy ~= policy then
  me.policy = policy
--@inline agree
end
if me.silent == 1 then
  me.silent = 0
  the_line().let_back(process, me)
end

-- Run what time has made due: lapses first, then offers from what is free.

--@inline due

if number_of('waiting') > 0 then
  the_line().lapse()
  the_line().serve()
end
