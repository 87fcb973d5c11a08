-- The operator's word on pausing; the newest counts.

--@include line

local function set_pause(at, on, reason)
  state.pause_at, state.pause_on, state.pause_reason = at, on, reason
  state_changed = true
  if on == 1 then
    the_line().withdraw_offers()
  end
end
