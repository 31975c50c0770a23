/* SPDX-License-Identifier: MIT */
#include "lua/lproduct.h"

#include <lauxlib.h>
#include <string.h>

#include "sim/simproduct.h"

/* A userdata: the settings, and the segments of all settings. */
struct plan {
    struct sim_setting settings[SIM_SETTINGS_MAX];
    size_t segment_count;
    struct sim_segment segments[];
};

/* Returns a field of the table on the top; the string is valid as long as the table holds it. */
static const char *text_field(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    const char *text = luaL_optstring(L, -1, NULL);
    lua_pop(L, 1);
    return text;
}

static lua_Integer integer_field(lua_State *L, const char *name, lua_Integer otherwise,
                                 lua_Integer most)
{
    lua_getfield(L, -1, name);
    lua_Integer value = luaL_optinteger(L, -1, otherwise);
    lua_pop(L, 1);
    if (value < SIM_AS_BASE || value > most)
        luaL_error(L, "a product's %s is out of range", name);
    return value;
}

static double number_field(lua_State *L, const char *name, double otherwise)
{
    lua_getfield(L, -1, name);
    double value = luaL_optnumber(L, -1, otherwise);
    lua_pop(L, 1);
    return value;
}

static int id_field(lua_State *L, const char *name)
{
    return (int)integer_field(L, name, SIM_AS_BASE, 0xFFFF);
}

/* Pushes a field of the table on the top, which is a list of tables; returns its length.
 * [-0, +1, e] */
static size_t push_list(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    luaL_checktype(L, -1, LUA_TTABLE);
    return (size_t)luaL_len(L, -1);
}

static void read_segments(lua_State *L, struct plan *plan, struct sim_setting *setting)
{
    size_t count = push_list(L, "segments");
    setting->segments = &plan->segments[plan->segment_count];
    for (size_t i = 1; i <= count; i++) {
        struct sim_segment *segment = &plan->segments[plan->segment_count++];
        lua_geti(L, -1, (lua_Integer)i);
        luaL_checktype(L, -1, LUA_TTABLE);
        segment->address = (uint32_t)integer_field(L, "address", 0, 0xFFFFFFFF);
        segment->count = (uint32_t)integer_field(L, "count", 0, 0xFFFFFFFF);
        segment->size = (uint32_t)integer_field(L, "size", 0, 0xFFFFFFFF);
        segment->erase = number_field(L, "erase", 0);
        lua_pop(L, 1);
    }
    setting->segment_count = count;
    lua_pop(L, 1);
}

static void read_setting(lua_State *L, struct plan *plan, struct sim_setting *setting)
{
    static const char *const roles[] = { [SIM_ROLE_FLASH] = "flash",     [SIM_ROLE_RAM] = "ram",
                                         [SIM_ROLE_OPTIONS] = "options", [SIM_ROLE_OTP] = "otp",
                                         [SIM_ROLE_FEATURE] = "feature", [SIM_ROLE_DATA] = "data",
                                         [SIM_ROLE_SYSTEM] = "system",   NULL };
    lua_getfield(L, -1, "role");
    setting->role = (enum sim_role)luaL_checkoption(L, -1, NULL, roles);
    lua_pop(L, 1);
    setting->name = text_field(L, "name");
    setting->erase = number_field(L, "erase", SIM_AS_BASE);
    lua_getfield(L, -1, "initial");
    setting->initial = luaL_optlstring(L, -1, NULL, &setting->initial_length);
    lua_pop(L, 1); /* the table holds it */
    lua_getfield(L, -1, "hidden");
    setting->hidden = lua_toboolean(L, -1);
    lua_pop(L, 1);
    setting->unit = (uint32_t)integer_field(L, "unit", 0, SIM_PRODUCT_MOST);
    setting->write = number_field(L, "write", 0);
    read_segments(L, plan, setting);
}

/* Returns the number of segments in the list of settings on the top. */
static size_t count_segments(lua_State *L, size_t settings)
{
    size_t total = 0;
    for (size_t i = 1; i <= settings; i++) {
        lua_geti(L, -1, (lua_Integer)i);
        luaL_checktype(L, -1, LUA_TTABLE);
        total += push_list(L, "segments");
        lua_pop(L, 2);
    }
    return total;
}

/* Replaces the list of settings on the top by the plan that is made of it. [-1, +1, e] */
static const struct sim_setting *read_settings(lua_State *L, size_t count)
{
    size_t total = count_segments(L, count);
    struct plan *plan = lua_newuserdatauv(L, sizeof *plan + total * sizeof plan->segments[0], 0);
    *plan = (struct plan){ .segment_count = 0 };
    lua_insert(L, -2);
    for (size_t i = 0; i < count; i++) {
        lua_geti(L, -1, (lua_Integer)i + 1);
        read_setting(L, plan, &plan->settings[i]);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return plan->settings;
}

static void read_application(lua_State *L, struct sim_application *app)
{
    if (lua_getfield(L, -1, "application") != LUA_TNIL) {
        luaL_checktype(L, -1, LUA_TTABLE);
        lua_getfield(L, -1, "dfu");
        *app = (struct sim_application){ .there = true, .dfu = lua_toboolean(L, -1) };
        lua_pop(L, 1);
        app->vid = id_field(L, "vid");
        app->pid = id_field(L, "pid");
        app->version = id_field(L, "version");
        app->manufacturer = text_field(L, "manufacturer");
        app->product = text_field(L, "product");
        app->serial = text_field(L, "serial");
        app->seconds = number_field(L, "seconds", 0);
    }
    lua_pop(L, 1);
}

/* Returns the list of habits of the table on the top as bits. */
static uint64_t read_habits(lua_State *L)
{
    uint64_t habits = 0;
    if (lua_getfield(L, -1, "habits") != LUA_TNIL) {
        luaL_checktype(L, -1, LUA_TTABLE);
        lua_Integer count = luaL_len(L, -1);
        for (lua_Integer i = 1; i <= count; i++) {
            lua_geti(L, -1, i);
            const char *name = luaL_checkstring(L, -1);
            for (unsigned bit = 0; bit < SIM_HABITS; bit++)
                if (strcmp(name, sim_habit_names[bit]) == 0)
                    habits |= UINT64_C(1) << bit;
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
    return habits;
}

struct simproduct *lproduct_new(lua_State *L, int index)
{
    struct sim_product said = { .settings = NULL };
    luaL_checktype(L, index, LUA_TTABLE);
    luaL_checkstack(L, 12, NULL);
    lua_pushvalue(L, index);
    said.base = text_field(L, "base");
    said.vid = id_field(L, "vid");
    said.pid = id_field(L, "pid");
    said.version = id_field(L, "version");
    said.manufacturer = text_field(L, "manufacturer");
    said.product = text_field(L, "product");
    said.serial = text_field(L, "serial");
    said.transfer_size = (uint16_t)integer_field(L, "transfer_size", 0, SIM_TRANSFER_MAX);
    said.ram = (uint32_t)integer_field(L, "ram", 0, SIM_PRODUCT_MOST);
    said.habits = read_habits(L);
    said.align = (uint32_t)integer_field(L, "align", 0, SIM_TRANSFER_MAX);
    said.mass_erase = number_field(L, "mass_erase", 0);
    struct sim_rdp rdp = { .at = (uint32_t)integer_field(L, "rdp_at", 0, SIM_PRODUCT_MOST),
                           .open = (uint8_t)integer_field(L, "rdp_open", 0xAA, 0xFF) };
    if (lua_getfield(L, -1, "rdp_at") != LUA_TNIL)
        said.rdp = &rdp;
    lua_pop(L, 1);
    said.dfu_version = (int)integer_field(L, "dfu_version", 0, 0xFFFF);
    said.attributes = (int)integer_field(L, "attributes", 0, 0xFF);
    struct sim_poll poll = { .erase = (uint32_t)integer_field(L, "poll_erase", 0, 0xFFFF),
                             .write = (uint32_t)integer_field(L, "poll_write", 0, 0xFFFF),
                             .address = (uint32_t)integer_field(L, "poll_address", 0, 0xFFFF),
                             .manifest = 1 };
    if (lua_getfield(L, -1, "poll_write") != LUA_TNIL)
        said.poll = &poll;
    lua_pop(L, 1);
    lua_getfield(L, -1, "starts_idle");
    said.starts_idle = lua_toboolean(L, -1);
    lua_pop(L, 1);
    read_application(L, &said.application);
    lua_getfield(L, -1, "config");
    said.config = luaL_optlstring(L, -1, NULL, &said.config_length);
    lua_pop(L, 1); /* the table holds it */
    said.alts = (uint8_t)integer_field(L, "alts", 0, 255);
    said.setting_count = push_list(L, "settings");
    if (said.setting_count > SIM_SETTINGS_MAX)
        luaL_error(L, "a product has too many settings");
    said.settings = read_settings(L, said.setting_count);
    lua_remove(L, -2); /* the table, which is still at the index */
    struct simproduct *product = simproduct_new(&said);
    if (!product)
        luaL_error(L, "no simulated board can be made of this product");
    return product;
}
