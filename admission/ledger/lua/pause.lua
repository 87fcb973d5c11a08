-- pause: pause or resume the account, or one lane; the newest word counts.
--
-- ARGV[1]     on             0 or 1: resume or pause
-- ARGV[2]     reason         text
-- ARGV[3]     lane           text, empty: the account
-- returns     code pause_at_ms | lanes_at_ms changed lane...
-- writes      the pause; withdraws the offers; removes the TTL of all keys, or sets it again
-- atomicity   the very next claim is refused

local on, reason, lane = unpack(ARGV, first, last)
on = tonumber(on)

--@include pausing
--@include told

if lane == '' then
  set_pause(math.max(now, state.pause_at + 1), on, reason)
  tail = {OK, state.pause_at}
elseif not is_lane(lane) then
  tail = lane_rows({NO_LANE, state.lanes_at, ''})
else
  local terms = enter_lane(lane)
  terms.paused, terms.reason, terms.at = on, reason, stamp_of(terms)
  lanes_changed()
  if on == 1 then
    the_line().withdraw_offers(lane)
  end
  tail = lane_rows({OK, state.lanes_at, ''})
end
