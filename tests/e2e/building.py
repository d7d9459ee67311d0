"""What a test that compiles something must know of the build."""

import os
import pathlib
import re
import shlex
import subprocess
import tempfile

from harness import ROOT, program


def build_folder():
    top = os.environ.get("abs_top_builddir")
    return pathlib.Path(top) if top else pathlib.Path(program("bursard", "BURSARD")[0]).parent


def build_setting(name):
    """A variable of the build's makefile, as words."""
    text = (build_folder() / "Makefile").read_text()
    found = re.search(rf"^{name} = (.*)$", text, re.MULTILINE)
    return shlex.split(found[1]) if found else []


MODULE = r"""
@HEAD@
#include <bursar/connector.h>
#include <stdlib.h>
static const struct bursar_option options[] = {
    {"token_url", BURSAR_OPTION_URL, .required = true, .help = "where tokens are made"}, {0}};
static int build(const struct bursar_call *call)
{
    struct bursar_text url = call->setting(call, "token_url");
    call->emit(call, BURSAR_REQ_URL, NULL, url.data, url.len);
    @BUILD@
    return 0;
}
static enum bursar_read take(const struct bursar_call *call, const struct bursar_response *response)
{
    (void)response;
    call->emit(call, BURSAR_OUT_ACCESS_TOKEN, NULL, "token-of-a-module", 17);
    return BURSAR_READ_OK;
}
static const struct bursar_connector module = {
    .abi = BURSAR_CONNECTOR_ABI, .kind = "mine", .summary = "a module of a test",
    .flags = BURSAR_CONNECTOR_MINTS, .secret_kind = "@KIND@", .options = options,
    .exchanges = {[BURSAR_REFRESH] = {build, take}}};
__attribute__((visibility("default"))) const struct bursar_connector *bursar_connector_module(void)
{
    @LOAD@
    return &module;
}
"""


def module(t, kind="oauth2", load="", build="", head=""):
    """A folder with a module in it."""
    folder = t.use(tempfile.TemporaryDirectory(prefix="bmod"))
    source = os.path.join(folder, "m.c")
    text = MODULE
    for name, value in (("KIND", kind), ("LOAD", load), ("BUILD", build), ("HEAD", head)):
        text = text.replace(f"@{name}@", value)
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    subprocess.run(["gcc", "-shared", "-fPIC", "-I", str(ROOT / "include"), "-o",
                    os.path.join(folder, "m.so"), source], check=True, timeout=60)
    return folder
