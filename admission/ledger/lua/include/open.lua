-- The beginning of every request: read the account, refuse a foreign epoch, hear the process, run what is due.
-- A verb names the records that it will need in `wanted`, so that they come in one round.

--@include clock
--@include records
--@include rule
--@include readings
--@include room
--@include line
--@include epoch
--@include reply

do
  local there = call('EXISTS', keys.account, keys.pending, keys.due, keys.processes, keys.line, keys.heads, keys.turns)
  local found = call('HMGET', keys.account, 'clock', 'state', 'p' .. process, unpack(wanted))
  texts['p' .. process] = found[3]
  for index, field in ipairs(wanted) do
    texts[field] = found[3 + index]
  end

  -- Ledger time never goes backwards: when the server's clock does, the offset takes up the step.
  local server_now = server_ms()
  clock = found[1] and unpack_record(found[1]) or NEW_CLOCK
  now = math.max(clock.last, server_now + clock.offset)
  clock.last, clock.offset = now, now - server_now
  state = found[2] and unpack_record(found[2]) or NEW_STATE
  if not found[1] then
    clock.heard = now
  end

  local other_server = run_id ~= '' and state.run_id ~= '' and run_id ~= state.run_id
  if there < 7 or other_server then
    new_epoch(policy)
  end
  if run_id ~= '' and run_id ~= state.run_id then
    state.run_id, state_changed = run_id, true
  end
end

if epoch ~= state.epoch then
  return finish(FOREIGN, 0, {})
end

-- Hear the process; after a silence of all, give everybody time to be heard.

if now - clock.heard > math.floor(state.lease / 3) then
  clock.grace_until = now + state.lease
end
clock.heard = now

me = heard(process)
if not me then
  me = NEW_MEMBER
  me.since, me.heard, me.policy = now, now, policy
  members[process] = me
  call('ZADD', keys.processes, 0, 'p' .. process)
  add_due('p' .. process, now + state.lease + 1)
  agree()
else
  me.heard = now
  if me.policy ~= policy then
    me.policy = policy
    agree()
  end
  if me.silent then
    me.silent = false
    the_line().let_back(process, me)
  end
end
local since = me.since

-- Run what time has made due: lapses first, then offers from what is free.

if now >= clock.next_due then
  local due = call('ZRANGEBYSCORE', keys.due, '-inf', now)
  call('ZREMRANGEBYSCORE', keys.due, '-inf', now)
  local quiet = {}
  for _, entry in ipairs(due) do
    local letter, name = string.sub(entry, 1, 1), string.sub(entry, 2)
    if letter == 'u' then
      local booked = reservation(name)
      booked.open, booked.over_at = 0, false
      review(name, booked)
      clock.lapsed = clock.lapsed + 1
    elseif letter == 'p' then
      quiet[#quiet + 1] = name
    else
      write((letter == 't' and 's' or letter) .. name, false)
    end
  end
  -- Hearing a process does not move it in `due`: it is looked at when it would have lapsed unheard, and then moved.
  local lease, lapsed = state.lease, false
  for _, name in ipairs(quiet) do
    local member = heard(name)
    local lapses_at = member.heard + lease + 1
    if lapses_at > now then
      add_due('p' .. name, lapses_at)
    elseif now < clock.grace_until then
      add_due('p' .. name, clock.grace_until)
    else
      lapsed = true
      the_line().forget(name)
      members[name] = false
      write('p' .. name, false)
      call('ZREM', keys.processes, 'p' .. name)
      for _, letter in ipairs({'h', 'o'}) do
        local from, to = '[' .. letter .. name .. '\0', '(' .. letter .. name .. '\1'
        local entries = call('ZRANGEBYLEX', keys.processes, from, to)
        for _, entry in ipairs(entries) do
          local rid = string.sub(entry, #name + 3)
          local booked = reservation(rid)
          booked.open = 0
          review(rid, booked)
        end
        clock.lapsed = clock.lapsed + (letter == 'h' and #entries or 0)
      end
    end
  end
  if lapsed then
    agree()
  end
  local first = call('ZRANGE', keys.due, 0, 0, 'WITHSCORES')
  clock.next_due = first[1] ~= '' and tonumber(first[2]) or NEVER_MS
end

if count_waiting() > 0 then
  the_line().lapse()
  the_line().serve()
end

--- Offer what the verb freed, and reply.
local function answer(code, tail)
  if count_waiting() > 0 then
    the_line().serve()
  end
  return finish(code, since, tail)
end
