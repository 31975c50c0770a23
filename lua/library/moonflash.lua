---@meta
-- Made by 'moonflash recipes --types'.

---@class dfu
dfu = {}

---@class Board
local Board = {}

---@class task
task = {}

---@class Task
local Task = {}

---@class Semaphore
local Semaphore = {}

---@class Permit
local Permit = {}

---@class sim
sim = {}

---@class Sim
local Sim = {}

---@class Server
local Server = {}

---@class flash
flash = {}

---@class image
image = {}

---@class Image
local Image = {}

---@class memory
memory = {}

---@class optbytes
optbytes = {}

---@class units
units = {}

---@class Pool
local Pool = {}

---@class trace
trace = {}

---@class sys
sys = {}

---@class Stream
local Stream = {}

---@class errors
errors = {}

---Returns the boards that are present, in DFU mode and in run-time mode.
---@param selector? string|table
---@return table[]
function dfu.list(selector) end

---Opens a board in DFU mode, and returns the Board.
---@param selector? string|table
---@param options? table
---@return Board
function dfu.open(selector, options) end

---Returns the Board of a place, not open.
---@param selector string|table
---@return Board
function dfu.at(selector) end

---Returns an iterator over boards as they arrive.
---@param selector? string|table
---@return fun(): Board
function dfu.arrivals(selector) end

---Opens the next device in DFU mode at this place, and returns the Board.
---@param options? table
---@return Board
function Board:open(options) end

---Closes the board; may be called again.
function Board:close() end

---Chooses an alternate setting for the operations that follow, by its number or the start of its name.
---@param alt? string|integer
function Board:select(alt) end

---Returns length bytes from address, all from one alternate setting.
---@param address integer
---@param length integer
---@return string
function Board:read(address, length) end

---Writes the bytes, in blocks of transfer_size and a shorter last block.
---@param address integer
---@param data string
---@param options? table
function Board:write(address, data, options) end

---Erases the sector that holds the address (AN3156).
---@param address integer
---@param seconds? number
function Board:erase_page(address, seconds) end

---Erases the main flash.
function Board:mass_erase() end

---Removes the read protection, which erases the whole chip.
function Board:read_unprotect() end

---Is flash.unprotect(board, options):
---@param options? table
function Board:unprotect(options) end

---Reads what the chip says of itself, as far as it is known that it can be read:
function Board:chip() end

---Leaves DFU mode and starts the program whose vector table is at address.
---@param address? integer
function Board:leave(address) end

---Waits for the device that appears at this place after leave.
---@param seconds number
function Board:wait_app(seconds) end

---Begins a step of a recipe's work on the board, and ends the step before.
---@param name string
---@param seconds? number
function Board:step(name, seconds) end

---Keeps a measurement with the result.
---@param name string
---@param value any
---@param limits? table
function Board:note(name, value, limits) end

---Brings a board from run-time mode to DFU mode, and returns the Board, open.
---@param seconds? number
function Board:detach(seconds) end

---Sends GETSTATUS in whatever state the board is.
function Board:get_status() end

---Sends GETSTATE, and returns the state.
function Board:get_state() end

---Brings the board out of dfuERROR.
function Board:clear_status() end

---Sends ABORT in whatever state the board is.
function Board:abort() end

---Returns the commands that a DfuSe board supports (Get Commands).
function Board:commands() end

---Sets the address pointer, which is the address of block 2.
---@param address integer
function Board:set_address(address) end

---Sends one DNLOAD with its GETSTATUS, up to dfuDNLOAD-IDLE.
---@param number integer
---@param data string
---@param options? table
function Board:download_block(number, data, options) end

---Sends one UPLOAD, and returns the bytes that came.
---@param number integer
---@param length integer
function Board:upload_block(number, length) end

---Sends any control transfer, with the numbers of USB 2.0 chapter 9.
---@param request_type integer
---@param request integer
---@param value any
---@param index integer
---@param data_or_length string|integer
---@param options? table
function Board:control(request_type, request, value, index, data_or_length, options) end

---Sends a USB reset.
function Board:reset() end

---Returns the board's status and state, as board:get_status() has them.
function Board:status() end

---Returns length bytes from address on, as a dump.
---@param address integer
---@param length? integer
function Board:dump(address, length) end

---Returns the addresses at which the bytes begin, in all readable memories.
---@param bytes string
function Board:find(bytes) end

---Returns the differences between the board and file, which is an argument or a result of image.load.
---@param file string
function Board:diff(file) end

---Reads memory into a new file; a file that exists is not replaced.
---@param file string
---@param address? integer
---@param length? integer
function Board:save(file, address, length) end

---Returns the board's memories.
function Board:regions() end

---Sets the range to one byte; the default is 0xFF, as in erased flash.
---@param address integer
---@param length integer
---@param byte? integer
function Board:fill(address, length, byte) end

---Runs f(...) in a new task, and returns the Task.
---@param f function
---@param ... any
---@return Task
function task.spawn(f, ...) end

---Waits for the task, and returns what its function returned, or raises what it raised.
function Task:join() end

---Cancels the task where it waits.
function Task:cancel() end

---Returns the traceback of a task that failed, as a string; else nil.
function Task:traceback() end

---Waits for this many seconds.
---@param seconds number
function task.sleep(seconds) end

---Returns the time in seconds, on the clock that all waiting uses.
---@return number
function task.now() end

---Runs f(...) as a task, and returns its results.
---@param seconds number
---@param f function
---@param ... any
function task.deadline(seconds, f, ...) end

---Limits the time that the task may take.
---@param seconds? number
---@param message? string
function Task:limit(seconds, message) end

---Calls f() when this board's run has ended, whatever happened.
---@param f function
function task.at_end(f) end

---Returns the Task that is running.
---@return Task
function task.current() end

---Returns a counting semaphore, for a resource that several tasks share.
---@param n? integer
---@return Semaphore
function task.semaphore(n) end

---Waits for a permit, and returns it.
---@return Permit
function Semaphore:acquire() end

---Releases the permit that this task acquired last.
function Semaphore:release() end

---Releases this permit, which is the result of acquire.
function Permit:close() end

---Makes a simulated board that the rest of the program does not have.
---@param spec string
---@return Sim
function sim.new(spec) end

---Returns the names of the kinds.
function sim.kinds() end

---Returns all kinds, { { kind = "f407", summary = "STM32F407:
function sim.catalogue() end

---Returns the content of one of the board's memories, as a string, without any effect on the board.
---@param address integer
---@param length integer
---@return string
function Sim:peek(address, length) end

---Sets the content of a memory, without any effect on the board's state.
---@param address integer
---@param bytes string
function Sim:poke(address, bytes) end

---Injects a fault, once.
---@param kind string
---@param when integer|string|table
function Sim:fault(kind, when) end

---Removes the board from the bus.
function Sim:unplug() end

---Plugs the board in again, with BOOT0 high.
function Sim:plug() end

---Presses the reset button, with BOOT0 high.
function Sim:reset() end

---Gives the board up; <close> and the collector call it too.
function Sim:close() end

---Returns the simulated board (a Sim) at a path that this run has, "sim:f407", of a selector or from sim.new; nil for any other path.
---@param path string
---@return Sim
function sim.at(path) end

---Runs a recipe on simulated boards, as the command line does, and returns its results:
---@param recipe string
---@param options? table
---@param boards? table
function sim.run(recipe, options, boards) end

---Rehearses a recipe, as moonflash rehearse does, and raises fail if a run breaks a promise.
---@param recipe string
---@param options? table
---@param how? table
function sim.rehearse(recipe, options, how) end

---Rehearses a station, as moonflash rehearse --station does, and raises fail if its records do not agree with what the boards hold.
---@param recipe string
---@param options? table
---@param how? table
function sim.station(recipe, options, how) end

---Offers simulated boards to a kernel over USB/IP 1.1.1, and returns the Server.
---@param address integer
---@param port integer
---@param boards table
---@param options? table
---@return Server
function sim.serve(address, port, boards, options) end

---Waits for the next event, and returns it; nil once the server is closed.
function Server:event() end

---Ends all connections, which unplugs the boards; <close> and the collector call it too.
function Server:close() end

---Plans, erases, writes, reads back and compares.
---@param board Board
---@param image Image
---@param options? table
function flash.write(board, image, options) end

---Reads back the addresses of the image, and compares.
---@param board Board
---@param image Image
---@param options? table
function flash.verify(board, image, options) end

---Returns the plan that flash.write would carry out.
---@param board Board
---@param image Image
---@param options? table
---@return table
function flash.plan(board, image, options) end

---Returns the plan as text, one line a sector.
---@param plan table
function flash.describe(plan) end

---Erases the sectors of a list, with a bar, and reads them back.
---@param board Board
---@param sectors table[]
---@param options? table
function flash.erase(board, sectors, options) end

---Erases the whole chip with one mass erase, with a bar.
---@param board Board
function flash.erase_all(board) end

---Removes the read protection, which erases the whole chip.
---@param board Board
---@param options? table
function flash.unprotect(board, options) end

---Returns the sectors that touch the addresses first to last, in the form that flash.erase takes.
---@param board Board
---@param first integer
---@param last integer
function flash.sectors(board, first, last) end

---Reads as board:read does, with a bar.
---@param board Board
---@param address integer
---@param length integer
function flash.read(board, address, length) end

---Returns the first and the last address of the memory that the board starts its program from.
---@param board Board
function flash.span(board) end

---Loads firmware as one image.
---@param spec string
---@param ... any
---@return Image
function image.load(spec, ...) end

---Makes an image of the bytes of a file, as image.load does of the file name, with its options address, force and data.
---@param name string
---@param bytes string
---@param options? table
---@return Image
function image.parse(name, bytes, options) end

---Makes an image of bytes.
---@param fields table
---@return Image
function image.new(fields) end

---Raises image if the image has ids (of a DFU suffix) that differ from the board's.
---@param image Image
---@param board Board
---@param force? boolean
function image.check_ids(image, board, force) end

---Recognises the kind of firmware that bytes are.
---@param bytes string
function image.recognise(bytes) end

---Returns the format for the ending of a file's name.
---@param name string
function image.format_of(name) end

---Returns the bytes at the address.
---@param address integer
---@param length integer
---@return string
function Image:read(address, length) end

---Returns a new image in which bytes replace as many others.
---@param where string|integer
---@param bytes string
---@return Image
function Image:patch(where, bytes) end

---Returns a new image in which the gaps of a range are filled; both ends are included.
---@param first integer
---@param last integer
---@param byte? integer
---@return Image
function Image:pad(first, last, byte) end

---Returns the CRC of a range; both ends are included.
---@param first integer
---@param last integer
---@param kind? string
---@return integer
function Image:crc(first, last, kind) end

---Returns the bytes that image:save would write.
---@param format string
---@param options? table
function Image:encode(format, options) end

---Writes the image to a file, whole or not at all, and replaces a file of that name.
---@param file string
---@param format? string
---@param options? table
function Image:save(file, format, options) end

---Parses a layout string (UM0424).
---@param text string
function memory.parse(text) end

---Returns an iterator over the sectors that touch the addresses first to last, in ascending order.
---@param segments table[]
---@param first? integer
---@param last? integer
function memory.sectors(segments, first, last) end

---Returns the segment that holds the address, and the address of its sector; nil if there is none.
---@param segments table[]
---@param address integer
function memory.find(segments, address) end

---Returns the number of bytes in all segments.
---@param segments table[]
function memory.size(segments) end

---Returns the number of sectors in all segments.
---@param segments table[]
function memory.number_of_sectors(segments) end

---Returns the first and the last address of the memory without gaps around the address, whatever may be done with its parts; nil if there is none.
---@param segments table[]
---@param address integer
function memory.span(segments, address) end

---Returns the option bytes by name.
---@param board Board
function optbytes.read(board) end

---Changes the option bytes that changes names, and keeps the others.
---@param board Board
---@param changes table
---@param options? table
function optbytes.write(board, changes, options) end

---Returns what is known of the board's option bytes, from board/families/; nil if they are not described.
---@param board Board
function optbytes.family(board) end

---Returns the option bytes as a string; nil if the board has none that can be read, or more than 64.
---@param board Board
function optbytes.raw(board) end

---Opens a pool, in setup.
---@param spec string
---@param options? table
---@return Pool
function units.open(spec, options) end

---Returns what was scanned for the unit on a board, as a string (start = "scan"); else nil.
---@param board Board
function units.scan(board) end

---Returns the item of the unit on a board:
---@param board Board
---@return table
function Pool:take(board) end

---Returns the number of items that were never given out.
---@return integer
function Pool:left() end

---Starts keeping the last 64 requests of each board, with the first 16 bytes of each.
---@param all_bytes? boolean
function trace.start(all_bytes) end

---Stops keeping and printing requests.
function trace.stop() end

---Turns the printing of each request on or off.
---@param on boolean
---@param named? boolean
function trace.live(on, named) end

---Returns the last requests, at most n, in the order in which they ended.
---@param board? Board
---@param n? integer
function trace.last(board, n) end

---Shows the part of this page about a function (help(board.erase_page)), a module, a Board or a word (help "flash", help "usb.gone").
---@param what? any
function help(what) end

---Prints the traceback of the last error.
function traceback() end

---Runs a program to its end, without a shell.
---@param program string[]
---@return table
function sys.run(program) end

---Starts a program to communicate with, and returns a Stream at once.
---@param program string[]
---@return Stream
function sys.start(program) end

---Opens a serial port ("/dev/ttyACM0"), and returns a Stream.
---@param tty string
---@param baud? integer
---@return Stream
function sys.serial(tty, baud) end

---Opens a serial port at 1200 baud and closes it, with DTR low at the end.
---@param tty string
function sys.touch(tty) end

---Asks the operator, who may use a barcode reader.
---@param question string|table
---@return string
function sys.ask(question) end

---Writes all bytes.
---@param bytes string
function Stream:write(bytes) end

---Waits until the unread bytes match a Lua pattern, and returns the captures, or the whole match.
---@param pattern string
---@param seconds? number
function Stream:expect(pattern, seconds) end

---Returns all unread bytes.
---@param seconds? number
function Stream:read(seconds) end

---Closes the Stream; <close> and the collector call it too.
function Stream:close() end

---Returns whether file descriptor fd (0 standard input, 1 output, 2 error) is a terminal.
---@param fd integer
function sys.is_terminal(fd) end

---Returns the width and height of the terminal behind standard error; 80, 24 if it is not a terminal.
function sys.terminal_size() end

---Returns the type, size and rights of a file.
---@param path string
function sys.stat(path) end

---Returns the content of a symbolic link; nil if there is none, or it can't be read.
---@param path string
function sys.readlink(path) end

---Returns the names in a folder, in no order, without .
---@param folder string
function sys.readdir(folder) end

---Returns the SHA-256 hash, as 64 hex digits.
---@param bytes string
function sys.sha256(bytes) end

---Waits until the bytes written to an open file are on the disk.
---@param file string
function sys.sync(file) end

---Makes a folder, and the folders above it that are missing, for this user alone.
---@param path string
function sys.mkdir(path) end

---Returns whether time is virtual.
function sys.is_virtual() end

---Returns the seconds since 1970, with fractions, regardless of the clock of task.now().
function sys.time() end

---Returns the largest number of bytes that this process has had in memory.
function sys.peak_memory() end

---Returns the versions of the programs and libraries that run.
function sys.versions() end

---Calls f(...) and returns its results.
---@param code string
---@param f function
---@param ... any
function catch(code, f, ...) end

---Fails the board.
---@param message string
---@param ... any
function fail(message, ...) end

---Makes a recipe a step of another.
---@param name string
---@param options? table
function use(name, options) end

---Returns the folder of the script; with a name, the path of that file in the folder.
---@param name? string
function here(name) end

---Raises an error object.
---@param fields table
function errors.raise(fields) end

---Makes an error object, without raising it.
---@param fields table
function errors.new(fields) end

---Returns whether the value is an error object.
---@param value any
function errors.is(value) end

---Returns whether the error's code is code or a child of it.
---@param err any
---@param code string
function errors.matches(err, code) end

---Returns an error as text for a person.
---@param err any
function errors.text(err) end

---Returns any value as text.
---@param value any
function errors.words(value) end

---Returns an error as text.
---@param err any
function errors.said(err) end

---Turns Lua's "not enough memory" into an error object (sys.memory); returns any other value as it is.
---@param err any
function errors.of_memory(err) end

---catch, for modules.
---@param code string
---@param f function
---@param ... any
function errors.catch(code, f, ...) end

---fail, for modules.
---@param message string
---@param ... any
function errors.fail(message, ...) end

---Returns the exit status of a run that ended with this error.
---@param err any
function errors.exit_status(err) end

---Returns "PASS" for nil; else ERROR, FAIL, TIMEOUT or ABORTED.
---@param err any
function errors.outcome(err) end
