"""What a pickle asks for only in order to attack: functions that no training script saves, by module.

Nothing in a pickle is ever called, whatever it is. This list decides something else: which files are refused
with a word about it. It names what payloads call: run a program or code, load more of either, reach a file or
a server. A class that is merely unknown is not on it, nor a name that a project of one's own may well have.
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

_SYSTEM = frozenset({
    # programs, processes, threads
    "os", "posix", "nt", "subprocess", "_posixsubprocess", "sys", "popen2", "pty", "multiprocessing",
    "threading", "_thread", "asyncio", "pexpect", "paramiko", "ptyprocess", "winreg", "_winreg", "_winapi",
    "msvcrt", "_osx_support", "_aix_support",
    # code: loading, making, debugging and installing it
    "importlib", "imp", "runpy", "pkgutil", "zipimport", "zipapp", "codeop", "ctypes", "_ctypes", "cffi",
    "pdb", "bdb", "cProfile", "timeit", "doctest", "unittest", "pydoc", "gc", "pip", "setuptools",
    "pkg_resources", "distutils", "ensurepip", "venv", "lib2to3", "idlelib", "IPython", "_pyrepl", "cgitb",
    "mailcap", "antigravity",
    # pickles within pickles
    "pickle", "_pickle", "cPickle", "shelve", "marshal", "dill", "cloudpickle", "jsonpickle", "joblib",
    # files
    "shutil", "tempfile", "tarfile", "zipfile", "fileinput", "linecache", "mmap", "fcntl", "dbm", "sqlite3",
    # servers
    "socket", "socketserver", "ssl", "http", "httplib", "urllib", "urllib2", "urllib3", "requests", "aiohttp",
    "httpx", "ftplib", "telnetlib", "smtplib", "poplib", "imaplib", "nntplib", "xmlrpc", "webbrowser",
})  # fmt: skip
"""Modules that are on the list with all that is in them."""

_REACHED = frozenset({
    "os", "posix", "nt", "sys", "subprocess", "builtins", "__builtin__", "__builtins__", "importlib",
    "shutil", "socket", "ctypes", "pty", "runpy", "__globals__", "__subclasses__", "__class__", "__dict__",
    "__bases__", "__code__", "__reduce__", "__reduce_ex__", "__getattribute__",
})  # fmt: skip
"""What a name must not go through behind a harmless module, as `torch.serialization.os.system` does."""

_PACKAGES = (
    "numpy.testing", "numpy.f2py", "numpy.distutils", "numpy.ctypeslib", "numpy.lib.npyio",
    "numpy.lib._npyio_impl", "numpy.lib.format", "numpy._pytesttester", "torch.hub", "torch.package",
    "torch.classes", "torch.ops", "torch._ops", "torch.multiprocessing", "torch.testing",
    "torch._inductor.codecache", "torch._dynamo.guards", "torch._export", "torch.export",
    "torch.fx.experimental.symbolic_shapes",
    "torch.jit.unsupported_tensor_ops", "torch.jit._script", "torch.jit._serialization",
    "torch.distributed.rpc", "torch.distributed.elastic", "torch.distributed.run",
    "torch.distributed.launcher", "torch.distributed.launch", "torch.utils.cpp_extension",
    "torch.utils.collect_env", "torch.utils.bottleneck", "torch.utils.model_zoo",
    "torch.utils._config_module", "torch.utils.hipify", "torch.utils.show_pickle",
    "torch.utils.data.datapipes.utils", "torchvision.datasets.utils", "logging.config", "huggingface_hub",
    "tensorflow.io", "tensorflow.saved_model", "test.support",
)  # fmt: skip
"""Parts of libraries that are on the list with all that is in them."""

_BUILTINS = (
    "eval", "exec", "execfile", "compile", "__import__", "__build_class__", "open", "file", "input",
    "raw_input", "apply", "breakpoint", "getattr", "setattr", "delattr", "globals", "locals", "vars",
    "reload", "help", "exit", "quit",
)  # fmt: skip

_FUNCTIONS = frozenset({
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in _BUILTINS),
    "io.open", "io.open_code", "io.FileIO", "_io.open", "_io.open_code", "_io.FileIO", "codecs.open",
    "operator.attrgetter", "operator.methodcaller", "operator.call", "_operator.attrgetter",
    "_operator.methodcaller", "_operator.call", "functools.reduce", "_functools.reduce", "types.CodeType",
    "types.FunctionType", "uuid._popen", "uuid._get_command_stdout", "platform.popen", "platform._syscmd_ver",
    "code.interact", "code.InteractiveInterpreter",
    "code.InteractiveConsole", "profile.run", "profile.runctx", "profile.Profile", "trace.Trace", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "numpy.load", "numpy.loads", "numpy.save",
    "numpy.savez", "numpy.savetxt", "numpy.fromfile", "numpy.loadtxt", "numpy.genfromtxt", "numpy.memmap",
    "numpy.memmap.memmap", "numpy.core.memmap.memmap", "numpy._core.memmap.memmap", "torch.load",
    "torch.save", "torch.serialization.load", "torch.serialization.save", "torch.from_file",
    "torch.serialization._legacy_load", "torch.serialization._load", "torch.jit.load", "torch.jit.save",
    "torch.jit.CompilationUnit", "torch.jit.script", "torch._C.import_ir_module",
    "torch._C._jit_script_compile", "torchvision.io.write_file", "torchvision.io.read_file",
    "pandas.read_pickle", "pandas.eval", "pandas.io.pickle.read_pickle", "keras.models.load_model",
    "keras.utils.get_file", "tensorflow.keras.models.load_model", "scipy.io.loadmat",
})  # fmt: skip
"""Single functions, of modules whose other parts people do save."""


def is_attack(name: str) -> bool:
    """Whether a global, MODULE.NAME, is on the list, by its own name or by that which it had in Python 2."""
    return _is_listed(name) or _is_listed(_renamed(name))


def _is_listed(name: str) -> bool:
    first, *inner = name.split(".")
    if name in _FUNCTIONS or first in _SYSTEM or not _REACHED.isdisjoint(inner):
        return True
    return any(name == package or name.startswith(f"{package}.") for package in _PACKAGES)


def _renamed(name: str) -> str:
    """What Python 3 makes of a name in a pickle of Python 2: `commands.Popen` is that of subprocess."""
    module, _, rest = name.partition(".")
    renamed = NAME_MAPPING.get((module, rest))
    return ".".join(renamed) if renamed else f"{IMPORT_MAPPING.get(module, module)}.{rest}"
