-- Begin an epoch: forget all bookings and seats. Nothing is claimed until a reading shows what the fleet has placed.
-- See `book.py`.
do
--@inline policy

  local told_lanes = read('lanes')
  redis.call('UNLINK', unpack(keys))
  -- Every key keeps a member of its own, '', which is last where times count: a key that is missing was lost.
  for _, key in ipairs({keys.pending, keys.due, keys.turns}) do
    redis.call('ZADD', key, '+inf', '')
  end
  for _, key in ipairs({keys.processes, keys.line, keys.lanes}) do
    redis.call('ZADD', key, 0, '')
  end
  texts, changes, members, moved, windows = {}, {}, {}, {}, {}
  write('format', BOOK_FORMAT)
  if told_lanes then
    write('lanes', told_lanes)
  end
  counted = {pending = 0, held = 0, waiting = 0, offers = 0}
  clock.expires, clock.next_due, clock.last_score = 0, NEVER_MS, 0
  state.epoch = math.max(now, state.epoch + 1)
  state.opened = now
  local settings = parse_policy(policy)
  state.refresh, state.staleness, state.lease, state.headroom = unpack(settings, 1, 4)
  state.max_waiting, state.lag, state.duration, state.pace = unpack(settings, 5, 8)
  state.covers_to, state.missed = -1, 0
  clock.gone = 0
  state.cool_span, state.cool_since, state.cool_after, state.cool_until = 0, -1, -1, 0
  state.open_after = epoch_open_after()
  state.earlier, state.begun, state.reader = -1, -1, ''
  state.reader_until, state.retry_at, state.fails = 0, 0, 0
  state_changed = true
end
