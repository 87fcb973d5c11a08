-- The beginning of every request: read the account, refuse a foreign epoch, hear the process, run what is due.
-- A verb names the records that it will need in `wanted`, so that they come in one round.

--@include clock
--@include codes
--@include records
--@include rule
--@include line
--@include readings
--@include book
--@include reply

do
  local keys = call('EXISTS', account_key, pending_key, due_key, processes_key, line_key, heads_key, turns_key)
  local found = call('HMGET', account_key, 'clock', 'state', 'p' .. process, unpack(wanted))
  texts['p' .. process] = found[3]
  for index, field in ipairs(wanted) do
    texts[field] = found[3 + index]
  end

  -- Ledger time never goes backwards: when the server's clock does, the offset takes up the step.
  local server_now = server_ms()
  clock = found[1] and read_clock(found[1]) or {
    last = 0, offset = 0, expires = 0, heard = server_now, grace_until = 0, claimed = 0, gap = 0, lapsed = 0,
    last_score = 0,
  }
  now = math.max(clock.last, server_now + clock.offset)
  clock.last, clock.offset = now, now - server_now

  state = found[2] and read_state(found[2]) or {
    epoch = 0, opened = -1, run_id = '', pause_at = 0, pause_on = 0, pause_reason = '',
    limit = -1, count = -1, stamp = -1, t0 = -1, t1 = -1, mean = 0, error = '',
  }
  local other_server = run_id ~= '' and state.run_id ~= '' and run_id ~= state.run_id
  if keys < 7 or other_server then
    new_epoch(policy)
  end
  if run_id ~= '' and run_id ~= state.run_id then
    state.run_id, state.changed = run_id, true
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

local me = member(process)
if not me then
  me = {since = now, policy = policy, asked = -1, barred = false, silent = false, span = 0, passed_until = 0}
  me.heard = now
  members[process] = me
  call('ZADD', processes_key, 0, 'p' .. process)
  call('ZADD', due_key, now + state.lease + 1, 'p' .. process)
  agree()
elseif me.policy ~= policy then
  me.policy = policy
  me.heard = now
  agree()
end
me.heard = now
me.changed = true
if me.silent then
  me.silent = false
  let_back(process, me)
end
local since = me.since

-- Run what time has made due: lapses first, then offers from what is free.

do
  local due = call('ZRANGEBYSCORE', due_key, '-inf', now)
  if #due > 0 then
    call('ZREMRANGEBYSCORE', due_key, '-inf', now)
    local silent = {}
    for _, entry in ipairs(due) do
      local letter, name = string.sub(entry, 1, 1), string.sub(entry, 2)
      if letter == 'u' then
        local booked = reservation(name)
        booked.open, booked.over_at, booked.kept_over_at = 0, false, false
        review(name, booked)
        clock.lapsed = clock.lapsed + 1
      elseif letter == 'p' then
        silent[#silent + 1] = name
      else
        write((letter == 't' and 's' or letter) .. name, false)
      end
    end
    -- A process is not looked for again each time it is heard, only when it would have lapsed without that.
    local lapsed = false
    local lease = state.lease
    for _, name in ipairs(silent) do
      local lapses_at = member(name).heard + lease + 1
      if lapses_at > now or now < clock.grace_until then
        call('ZADD', due_key, lapses_at > now and lapses_at or clock.grace_until, 'p' .. name)
      else
        forget_seats(name)
        members[name] = false
        write('p' .. name, false)
        call('ZREM', processes_key, 'p' .. name)
        for _, letter in ipairs({'h', 'o'}) do
          local entries = call('ZRANGEBYLEX', processes_key, '[' .. letter .. name .. '\0', '(' .. letter .. name .. '\1')
          for _, entry in ipairs(entries) do
            local rid = string.sub(entry, #name + 3)
            local booked = reservation(rid)
            booked.open = 0
            review(rid, booked)
          end
          clock.lapsed = clock.lapsed + (letter == 'h' and #entries or 0)
        end
        lapsed = true
      end
    end
    if lapsed then
      agree()
    end
  end

  if count_waiting() > 0 then
    local turns = call('ZRANGEBYSCORE', turns_key, '-inf', now)
    local passed = {}
    for _, turn in ipairs(turns) do
      if string.sub(turn, 1, 1) == 'o' then
        local name = process_of(string.sub(turn, 2))
        if not passed[name] then
          passed[name] = true
          pass_over(name, member(name))
        end
      end
    end
    for _, turn in ipairs(turns) do
      local name = string.sub(turn, 2)
      if string.sub(turn, 1, 1) == 'o' then
        take_back(name, process_of(name))
      else
        call('ZREM', turns_key, turn)
        if not passed[name] then
          let_back(name, member(name))
        end
      end
    end
    serve()
  end
end

--- Say what the verb found, after offering what it freed.
local function answer(code, tail)
  serve()
  return finish(code, since, tail)
end
