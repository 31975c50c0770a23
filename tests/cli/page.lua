-- SPDX-License-Identifier: MIT
-- The operator's page in a real browser, by chromium-driver (WebDriver). The station and its boards
-- are in this process. Prints "ok NAME" or "failed: NAME: ..." for each check.
local acts = require "moonflash.station.acts"
local json = require "dkjson"
local pages = require "moonflash.station.page"
local recipes = require "moonflash.run.recipe"
local stations = require "moonflash.station"
local stores = require "moonflash.station.store"

local PLACES, PATIENCE = 16, 30
local DRIVER = tonumber(arg[1]) -- chromedriver's port

local function check(name, good, why)
  io.stdout:write(good and "ok " .. name or ("failed: %s: %s"):format(name, tostring(why)), "\n")
end

-- ---- HTTP and WebDriver ----

local function curl(...)
  local done = sys.run { "curl", "-s", "-m", "30", ... }
  return done.output
end

local EMPTY = setmetatable({}, { __jsontype = "object" })

local function command(method, path, body)
  local url = ("http://127.0.0.1:%d%s"):format(DRIVER, path)
  local out = method == "GET" and curl(url)
    or curl("-X", method, "-d", json.encode(body or EMPTY), url)
  local answer = json.decode(out)
  return answer and answer.value
end

local function wait_for(f)
  local by = task.now() + PATIENCE
  local value
  repeat
    value = f()
    if value then return value end
    task.sleep(0.1)
  until task.now() > by
  return value
end

wait_for(function()
  local status = command("GET", "/status")
  return status and status.ready
end)

local session

local function open_browser()
  local made = command("POST", "/session", { capabilities = { alwaysMatch = {
    ["goog:chromeOptions"] = { args = { "--headless=new", "--no-sandbox", "--disable-gpu",
      "--window-size=1920,1200", "--force-device-scale-factor=1" } } } } })
  session = made and made.sessionId
  return session
end

local function js(script, ...)
  return command("POST", ("/session/%s/execute/sync"):format(session), { script = script,
    args = setmetatable({ ... }, { __jsontype = "array" }) })
end

local function look(url) command("POST", ("/session/%s/url"):format(session), { url = url }) end

local function tile(name, what)
  return js(([[const t = document.querySelector('[data-name="' + arguments[0] + '"]');
    return t && (%s);]]):format(what), name)
end

-- ---- the station ----

local folder = here()
local recipe = recipes.load(folder .. "/page_recipe.lua")
local boards, paths = {}, {}
for i = 1, PLACES do
  boards[i] = sim.new(i == 3 and "f407,serial=<b>hostile</b>" or "f407")
  boards[i]:unplug()
  paths[i] = boards[i].path
end
local store = stores.open(nil)
local page = pages.open { address = "127.0.0.1", port = 0 }
local station = stations.new(recipe, { store = store, session = { selectors = paths } })
local base = "http://" .. page.base

local function status_of(...)
  return tonumber(curl("-o", "/dev/null", "-w", "%{http_code}", ...))
end

local function put_in(i)
  boards[i]:plug()
  return wait_for(function() return station.places[i].state == "READY" end)
end

local function type_line(line)
  js([[const i = document.getElementById('line'); i.value = arguments[0];
    document.getElementById('form').requestSubmit();]], line)
end

local function drive()
  check("the browser starts", open_browser(), "no session")

  -- who may do what
  check("a foreign Host is refused", status_of("-H", "Host: evil.example", base .. "/") == 403, 0)
  check("a foreign Origin is refused", status_of("-H", "Origin: http://evil.example",
    "-H", "X-Station-Token: " .. page.token, "-d", '{"line":"reset"}', base .. "/act") == 403, 0)
  check("without the token a page may only look", status_of("-d", '{"line":"reset"}',
    base .. "/act") == 403, 0)
  check("a token in the query is none", status_of("-d", '{"line":"?"}',
    base .. "/act?t=" .. page.token) == 403, 0)
  check("a body that is too long is refused", status_of("-H", "X-Station-Token: " .. page.token,
    "-d", ("x"):rep(9000), base .. "/act") == 400, 0)
  check("other paths are not there", status_of(base .. "/../etc/passwd") == 404, 0)

  look(base .. "/#t=" .. page.token)
  local count = wait_for(function()
    local n = js("return document.querySelectorAll('.tile').length")
    return n == PLACES and n
  end)
  check("a tile for each place", count == PLACES, count)
  check("sixteen of them without scrolling", js([[return document.documentElement.scrollHeight
    <= innerHeight && [...document.querySelectorAll('.tile')].every(
      t => t.getBoundingClientRect().bottom <= innerHeight)]]) == true, "it scrolls")
  local one, two = station.places[1].name, station.places[2].name
  check("an empty place is grey", tile(one, "getComputedStyle(t).backgroundColor")
    == "rgb(217, 217, 217)", tile(one, "getComputedStyle(t).backgroundColor"))

  -- from EMPTY to PASS by a scan
  put_in(1)
  check("it asks for the scan", wait_for(function()
    return tile(one, "t.textContent.includes('scan')") == true
  end), tile(one, "t.textContent"))
  type_line("W1")
  check("a running unit is blue", wait_for(function()
    return tile(one, "getComputedStyle(t).backgroundColor") == "rgb(31, 78, 158)"
  end), tile(one, "getComputedStyle(t).backgroundColor"))
  check("a unit passes, green", wait_for(function()
    return tile(one, "getComputedStyle(t).backgroundColor") == "rgb(27, 127, 59)"
  end), tile(one, "t.className"))
  check("with its word, sign and number", tile(one,
    "t.textContent.includes('✓ PASS') && t.textContent.includes('N1')") == true,
    tile(one, "t.textContent"))
  check("the word is large", (tonumber(tile(one, [[parseFloat(getComputedStyle(
    t.querySelector('.word')).fontSize)]])) or 0) >= 80, tile(one, [[getComputedStyle(
    t.querySelector('.word')).fontSize]]))

  put_in(2)
  type_line("W1")
  check("a used code is refused, with the reason", wait_for(function()
    return js("return document.getElementById('said').textContent"):find("W1 has passed already",
      1, true)
  end), js("return document.getElementById('said').textContent"))
  type_line("BAD")
  check("a unit fails, red", wait_for(function()
    return tile(two, "getComputedStyle(t).backgroundColor") == "rgb(179, 38, 30)"
  end), tile(two, "t.className"))
  check("with the cause, and what to do", tile(two,
    "t.textContent.includes('cold joint') && t.textContent.includes('Red box')") == true,
    tile(two, "t.textContent"))

  -- hostile text
  put_in(3)
  type_line("<img src=x onerror=\"document.title='gotcha'\">")
  local three = station.places[3].name
  check("a hostile scan is text", wait_for(function()
    return tile(three, "t.className.includes('PASS') || t.className.includes('FAIL')") == true
  end) and js("return document.querySelectorAll('img, b b').length") == 0
    and js("return document.title") ~= "gotcha", tile(three, "t.innerHTML"))

  -- a question of the recipe
  put_in(4)
  type_line("ASK")
  check("a question names its place", wait_for(function()
    local prompt = js("return document.getElementById('prompt').textContent")
    return prompt:find(station.places[4].name .. ": LED on?", 1, true)
  end), js("return document.getElementById('prompt').textContent"))
  type_line("yes")
  check("and its answer goes on", wait_for(function() return station.places[4].state == "PASS" end),
    station.places[4].state)

  -- what a scanner types goes to the line, wherever the focus is
  js("document.activeElement.blur()")
  command("POST", ("/session/%s/actions"):format(session), { actions = { { type = "key", id = "k",
    actions = { { type = "keyDown", value = "Q" }, { type = "keyUp", value = "Q" } } } } })
  check("a scanner's keys go to the line", js("return document.activeElement.id") == "line",
    js("return document.activeElement.id"))

  -- a small screen: what to do can still be read
  command("POST", ("/session/%s/window/rect"):format(session), { width = 1400, height = 900 })
  check("on a smaller screen what to do can be read", wait_for(function()
    acts.line(station, "?") -- nothing that changes a place
    return tile(two, [[[...t.children].every(c => c.getBoundingClientRect().bottom
      <= t.getBoundingClientRect().bottom + 1)]]) == true
  end), tile(two, "t.className + ' ' + t.scrollHeight + '/' + t.clientHeight"))

  -- without the token
  look("about:blank")
  look(base .. "/")
  check("a page without the token has nothing to act with", wait_for(function()
    return js([[return document.querySelectorAll('.tile').length > 0
      && [...document.querySelectorAll('form, button')].every(n => n.offsetParent === null)]])
      == true
  end), js("return document.body.className"))
  look("about:blank")
  look(base .. "/#t=" .. page.token)

  -- a reconnect, and the end
  for client in pairs(page.clients) do client:finish() end
  check("the page connects again", wait_for(function() return next(page.clients) ~= nil end), "no")
  check("in the dark", js([[return getComputedStyle(document.body).backgroundColor]]) ~= nil, "")
  acts.line(station, "reset")
end

station:run({}, {
  attend = function()
    sys.desk().remote = true
    page:serve(station)
    task.spawn(function()
      local job = task.spawn(drive)
      local ok, err = pcall(job.join, job)
      if not ok then check("the test itself", false, err) end
      station:stop()
    end)
  end,
  close = function() page:close() end,
})
check("the page says that the station is gone", session and wait_for(function()
  return js("return document.body.classList.contains('is-gone')") == true
end), "it does not")
if session then command("DELETE", "/session/" .. session) end
