# ruff: noqa
# fmt: off
"""PostgreSQL types with nasty values: 203 declared types, about 7,300 values; test data.

EXT: extensions to create where the server has them. SETUP: statements for the user types, to be run in source and target (in another order there, so that the types get other OIDs).
ZOO: declared type -> values as text, to be inserted as `value::type`, plus a NULL each. xml needs a server built with libxml.
"""
import random
random.seed(7)
EXT = ["citext", "hstore", "ltree", "cube", "seg", "isn", "vector", "intarray", "lo"]
SETUP = ["create type mood as enum ('sad','ok','happy','007','-0.0','')", """create type "Point Kind" as enum ('1','007','1e3','in t','it''s "q",{}')""",
  "create schema other", "create type other.maintenance as enum ('010','x')",
  r"create domain us_zip as text check (value ~ '^\d{5}$')", "create domain price as numeric(12,4) check (value >= 0)", "create domain anynum as numeric", "create domain ndom as price",
  "create domain ints as int[]", "create domain posint as int check (value > 0)", "create domain dmood as mood", "create domain dts as timestamptz(3)", "create domain dvc as varchar(5)", "create domain dj as jsonb",
  "create type pair as (a int, b text)", "create type rich as (n numeric(10,3), t timestamptz, m mood, arr int[], p pair, c char(4), z us_zip)",
  "create type plain as (a numeric, t timestamp, i inet[], f float8, c char(4))",
  "create type floatrange as range (subtype = float8)", "create type moodrange as range (subtype = mood)", "create type textrange as range (subtype = text)", "create domain dpair as pair", "create domain drange as int4range"]
def rnd(n, f): return [f() for _ in range(n)]
import struct
def f8(): 
    while True:
        x = struct.unpack('<d', random.randbytes(8))[0]
        if x == x: return repr(x)
def f4():
    while True:
        x = struct.unpack('<f', random.randbytes(4))[0]
        if x == x: return repr(x)
def num(maxd, maxs):
    s = random.randint(0, maxs); d = random.randint(1, maxd); t = ''.join(random.choice('0123456789') for _ in range(d))
    t = t.lstrip('0') or '0'
    if s: t = t.rjust(s + 1, '0'); t = t[:-s] + '.' + t[-s:]
    return random.choice(['', '-']) + t
def nps(p, s):
    d = random.randint(1, p); t = ''.join(random.choice('0123456789') for _ in range(d))
    if s: t = t.rjust(s + 1, '0'); t = t[:-s] + '.' + t[-s:]
    return random.choice(['', '-']) + t
TS = ["infinity", "-infinity", "294276-12-31 23:59:59.999999", "4713-01-01 00:00:00 BC", "0044-03-15 12:34:56.000001 BC", "0001-01-01 00:00:00", "0001-12-31 23:59:59.999999 BC", "10000-01-01", "9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999", "2000-01-01", "1970-01-01 00:00:00.1", "1582-10-10", "294247-01-10 04:00:54.775807", "294247-01-10 04:00:54.775808"]
ZOO = {
 "smallint": ["-32768", "32767", "0"], "integer": ["-2147483648", "2147483647", "0"], "bigint": ["-9223372036854775808", "9223372036854775807", "9007199254740993"],
 "real": ["NaN", "Infinity", "-Infinity", "-0", "0", "1e-45", "3.4028235e38", "0.1", "16777217", "1.17549435e-38"] + rnd(300, f4),
 "double precision": ["NaN", "Infinity", "-Infinity", "-0", "0", "5e-324", "1.7976931348623157e308", "0.1", "0.30000000000000004", "1e23", "9007199254740993", "9223372036854775807", "1e15", "123456789012345680", "2.2250738585072011e-308", "1e-300"] + rnd(500, f8),
 "numeric(10,2)": ["0", "1.5", "-99999999.99", "99999999.99", "0.01", "-0.01", "100", "NaN"] + rnd(100, lambda: nps(10, 2)),
 "numeric(15,2)": ["0", "9999999999999.99", "-9999999999999.99", "0.07", "1.10"] + rnd(500, lambda: nps(15, 2)),
 "numeric(15,5)": ["0.00001", "9999999999.99999", "-0.00001", "1234567890.12345"] + rnd(500, lambda: nps(15, 5)),
 "numeric(15,0)": ["999999999999999", "-999999999999999", "0", "NaN"] + rnd(50, lambda: nps(15, 0)), "numeric(15,15)": ["0.999999999999999", "0.000000000000001", "-0.1"] + rnd(200, lambda: nps(15, 15)),
 "numeric(18,2)": ["9999999999999999.99", "-9999999999999999.99", "0.10", "NaN"] + rnd(100, lambda: nps(18, 2)), "numeric(18,0)": ["999999999999999999", "-999999999999999999"] + rnd(50, lambda: nps(18, 0)),
 "numeric(20,0)": ["99999999999999999999", "-1", "9223372036854775808"], "numeric(38,10)": ["9" * 28 + ".9999999999", "-0.0000000001", "1.5", "NaN"] + rnd(100, lambda: nps(38, 10)),
 "numeric(38,0)": ["9" * 38, "-" + "9" * 38], "numeric(38,38)": ["0." + "9" * 38, "-0." + "0" * 37 + "1"], "numeric(50,20)": ["9" * 30 + "." + "9" * 20, "-1.5", "NaN"] + rnd(50, lambda: nps(50, 20)),
 "numeric(76,40)": ["9" * 36 + "." + "9" * 40, "-0." + "0" * 39 + "1"], "numeric(77,0)": ["9" * 77, "NaN"], "numeric(100,50)": ["9" * 50 + "." + "9" * 50, "-1.5", "NaN"], "numeric(1000,500)": ["9" * 500 + "." + "9" * 500, "-0." + "0" * 499 + "1", "NaN"],
 "numeric(5,-2)": ["1234567", "-9999900", "100", "NaN"], "numeric(3,5)": ["0.00123", "-0.00999"], "numeric(10,1000)": ["0." + "0" * 990 + "1234567890"],
 "numeric": ["NaN", "Infinity", "-Infinity", "0", "-0", "0.00", "1.50", "1.500", "1e-1000", "9" * 1000, "-" + "9" * 500 + "." + "9" * 500, "0.1", "1e131000", "0." + "0" * 16382 + "1", "100000000000000000000.000000"] + rnd(300, lambda: num(60, 40)),
 "boolean": ["true", "false"],
 "text": ["", " ", "007", "1e3", "NULL", "\\N", "it's \"q\"\t\n\r\\", "\u0001\u007f\ufeff", "日本語 🎉 e\u0301", "x" * 70000, "0x1A", "Infinity", "  7  ", "-0.0", "{1,2}"],
 "character varying": ["", "007", "é"], "character varying(5)": ["", "1.10", "héllo", "  5  ", "🎉🎉🎉🎉🎉"], "character(4)": ["", "a", "007", "héé", "1.0 "], "character(1)": ["7", ""], "character(10485760)": ["a"], '"char"': ["a", "7", "", "\\377", "\\001", "é"], "name": ["007", "n" * 63, "é" * 31],
 "citext": ["007", "ABC", "é"], "bytea": ["", "\\x00", "\\x00ff3031", "\\x303037", "\\x" + "ff" * 5000],
 "date": ["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "0001-01-01", "0001-12-31 BC", "9999-12-31", "10000-01-01", "1970-01-01", "2000-02-29", "1582-10-10"],
 "time without time zone": ["24:00", "00:00", "23:59:59.999999", "00:00:00.000001"], "time(3) without time zone": ["24:00", "23:59:59.999", "12:00:00.5"], "time with time zone": ["24:00+00", "00:00+15:59:59", "23:59:59.999999-15:59", "12:00:00.5+05:30"], "time(2) with time zone": ["12:00:00.55+05:30"],
 "timestamp without time zone": TS, "timestamp(3) without time zone": ["infinity", "2024-01-01 00:00:00.123", "294276-12-31 23:59:59.999"], "timestamp(0) without time zone": ["2024-01-01 00:00:01"], "timestamp with time zone": [t if "infinity" in t else (t.replace(" BC", "+00 BC") if "BC" in t else t + "+00") for t in TS if t != "4713-01-01 00:00:00 BC"] + ["4713-12-31 00:00:00+00 BC"], "timestamp(3) with time zone": ["-infinity", "2024-01-01 00:00:00.123+00", "0044-03-15 01:00:00+00 BC"],
 "interval": ["178000000 years", "-178000000 years", "2147483647 days", "-2147483648 days", "2562047788:00:54.775807", "-2562047788:00:54.775807", "1 mon -1 day 00:00:00.000001", "-1 mon 1 day -00:00:00.000001", "0", "1 year 2 mons 3 days 04:05:06.789", "infinity", "-infinity", "1 mon -30 days", "24 hours", "1 day", "-00:00:01"], "interval(3)": ["1 day 00:00:01.123"], "interval day to second(2)": ["3 days 04:05:06.78"], "interval year to month": ["-7 years 3 mons"], "interval hour": ["5 hours"],
 "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "79797979-7979-7979-7979-797979797979"],
 "json": ['{"a":  1,\n "b":[1.0,  2e5], "a": null}', '"x"', ' 7 ', 'null', '"\\u00e9\\u0000"', '1.10'], "jsonb": ['{"a":  1, "b":[1.00,  2e5], "c": null}', '"x"', '7', 'null', '1.10', '"007"', '12345678901234567890.123456789000', '{"k":"\\u00e9"}'],
 "inet": ["1.2.3.4", "1.2.3.4/24", "::1", "fe80::1/64", "::ffff:1.2.3.4", "0.0.0.0/0"], "cidr": ["10.0.0.0/8", "::/0", "1.2.3.4/32"], "macaddr": ["08:00:2b:01:02:03"], "macaddr8": ["08:00:2b:01:02:03:04:05"],
 "bit(1)": ["0", "1"], "bit(8)": ["00001010", "11111111"], "bit(70)": ["01" * 35], "bit varying": ["", "0", "0001", "1" * 200], "bit varying(5)": ["", "010"], "money": ["92233720368547758.07", "-92233720368547758.08", "0.01", "-1.10", "100"],
 "int4range": ["[1,5)", "empty", "(,)", "[,7)", "[3,)"], "int8range": ["[-9223372036854775808,9223372036854775807)", "empty"], "numrange": ["[1.50,2.500]", "(NaN,)", "[-Infinity,Infinity)", "empty"], "tsrange": ['[-infinity,"0044-03-15 00:00:00 BC")', '["2024-01-01 00:00:00.000001",infinity]', "(,)"], "tstzrange": ['["2024-01-01 00:00:00+00","294276-12-31 23:59:59.999999+00"]', "[,infinity)", "empty"], "daterange": ["[2024-01-01,infinity)", "(,)", "[4713-01-01 BC,5874897-12-31)"],
 "int4multirange": ["{}", "{[1,2),[5,9)}", "{(,)}"], "nummultirange": ["{[1.10,2.0],(5,)}", "{}"], "tstzmultirange": ['{["2024-01-01 00:00:00+00","2024-01-02 00:00:00+00"),[infinity,]}'], "datemultirange": ["{[2024-01-01,2024-02-01)}"], "floatrange": ["[-0,0.1)", "[-Infinity,NaN]", "[5e-324,1.7976931348623157e308)"], "floatmultirange": ["{[-0,0.1),[1e300,)}"], "moodrange": ["[sad,happy)", "[,ok]"], "textrange": ['["a,b","c""d"]', '["",z)'],
 "mood": ["sad", "happy", "007", "-0.0", ""], '"Point Kind"': ["1", "007", "1e3", "it's \"q\",{}"], "other.maintenance": ["010", "x"],
 "us_zip": ["00501", "90210"], "price": ["1.5", "99999999.9999", "0"], "ndom": ["7.1000"], "anynum": ["1.500", "NaN", "-Infinity", "1e-500", "9" * 1000], "ints": ["{1,NULL,3}", "{{1,2},{3,4}}", "[5:6]={1,2}"], "posint": ["1", "2147483647"], "dmood": ["007"], "dts": ["infinity", "2024-01-01 00:00:00.123+00"], "dvc": ["007"], "dj": ['{"a": 1.0}'],
 "pair": ['(1,"a,b")', '(,)', '(7,"")', '(-1,"q""\\\\ \'")'], "rich": ['(1.500,"infinity",007,"{1,NULL}","(1,x)","ab  ",00501)', "(,,,,,,)", '(NaN,"2024-01-01 00:00:00.000001+00",sad,"[0:1]={1,2}",,"a",)'], "plain": ['(1.500,infinity,"{1.2.3.4/24,NULL}",-0,"ab")', "(NaN,,,5e-324,)"], "dpair": ['(1,"x")'], "drange": ["[1,5)"],
 "smallint[]": ["{1,NULL,-32768}", "{}"], "integer[]": ["{}", "{NULL}", "{1,NULL,3}", "{{1,2},{3,NULL}}", "[0:1]={1,2}", "[-5:-4]={7,8}", "[2:3][0:1]={{1,2},{3,4}}", "{{{1},{2}}}"], "bigint[]": ["{9223372036854775807,NULL}", "[7:7]={1}"], "text[]": ["{}", '{"a,b","",NULL,"NULL","q\\"\\\\",{}}'.replace(",{}}", ',"{}"}'), '{{a,b},{c,NULL}}', '[0:0]={x}'], "numeric[]": ["{1.50,NaN,NULL,-Infinity,1e-500}", "{{1.0},{2.00}}", "{}"], "numeric(10,2)[]": ["{1.5,NULL}"], "timestamptz[]": ['{infinity,"2024-01-01 00:00:00.000001+00",NULL,-infinity}', "[0:0]={2024-01-01}"], "date[]": ["{infinity,4713-01-01 BC}"], "uuid[]": ["{00000000-0000-0000-0000-000000000000,NULL}"], "double precision[]": ["{-0,NaN,5e-324,Infinity}"], "boolean[]": ["{t,f,NULL}"], "bytea[]": ['{"\\\\x00ff",""}'], "character varying(5)[]": ["{abc,NULL}"], "interval[]": ["{1 mon -1 day,-infinity}"], "json[]": ['{"{\\"a\\":  1}",NULL}'], "jsonb[]": ['{"{\\"a\\": 1.0}"}'], "inet[]": ["{1.2.3.4/24}"],
 "mood[]": ["{sad,NULL,007}", "[0:1]={ok,ok}", "{{sad},{ok}}", "{}"], "us_zip[]": ["{00501,NULL}"], "pair[]": ['{"(1,\\"a,b\\")",NULL}', "{}"], "rich[]": ['{"(1.500,infinity,007,\\"{1,NULL}\\",\\"(1,x)\\",ab,00501)"}'], "int4range[]": ['{"[1,5)",empty}'], "money[]": ["{1.10}"], "citext[]": ["{A,NULL}"], "hstore[]": ['{"\\"a\\"=>\\"b\\""}'],
 "point": ["(1,2)", "(-0,5e-324)", "(NaN,Infinity)", "(0.1,0.30000000000000004)"], "line": ["{1,2,3}"], "lseg": ["[(1,2),(3,4)]"], "box": ["(3,4),(1,2)"], "path": ["[(1,2),(3,4)]", "((1,2),(3,4))"], "polygon": ["((0,0),(1,0),(0,1))"], "circle": ["<(1,2),0.1>"],
 "tsvector": ["'a':1A,3B 'fat':2", "'it''s'", ""], "tsquery": ["'a' & !'b':*AB <2> 'c'", ""], "oid": ["0", "4294967295", "2147483648"], "xid": ["4294967295", "0"], "xid8": ["18446744073709551615", "7"], "cid": ["4294967295"], "pg_lsn": ["16/B374D848", "FFFFFFFF/FFFFFFFF", "0/0"], "tid": ["(0,1)", "(4294967295,65535)"], "txid_snapshot": ["10:20:10,14,15"], "pg_snapshot": ["10:20:10,14,15"], "int2vector": ["1 2 3", ""], "oidvector": ["1 4294967295"],
 "regclass": ["pg_class", "zreg", "-"], "regtype": ["integer", "mood", '"Point Kind"', "numeric[]"], "regproc": ["now"], "regprocedure": ["abs(integer)"], "regrole": ["postgres"], "regnamespace": ["other"], "regcollation": ["\"C\""], "regconfig": ["english"], "regdictionary": ["simple"], "regoper": ["|/"], "regoperator": ["+(integer,integer)"],
 "jsonpath": ['$."a"[*] ? (@ > 1)'], "refcursor": ["c1"], "aclitem": ["postgres=r/postgres"], "aclitem[]": ["{postgres=r/postgres,=r/postgres}"],
 "hstore": ['"a"=>"1", "b"=>NULL', "", '"q\\""=>"x,y"'], "ltree": ["a.b.c", ""], "lquery": ["a.*{1,2}.!b"], "ltxtquery": ["a & b*"], "cube": ["(1, 2),(3, 4)", "(0.1)"], "seg": ["1.50 .. 2.0", "~5.0"], "isbn": ["978-0-393-04002-9"], "ean13": ["978-0-393-04002-9"], "vector": ["[1,2.5,-0]"], "vector(3)": ["[0.1,2,3]"], "halfvec": ["[1,2]"], "sparsevec": ["{1:0.1,3:2}/5"], "lo": ["12345"],
}
# Tame values: what the cheap forms accept, at their limits, with random fill. Key: type#tame
def day(): return f"{random.randint(1, 9999):04d}-{random.randint(1, 12):02d}-{random.randint(1, 28):02d}"
def clock(): return f"{random.randint(0, 23):02d}:{random.randint(0, 59):02d}:{random.randint(0, 59):02d}.{random.randint(0, 999999):06d}"
R = 300
ZOO |= {"date#tame": ["0001-01-01", "9999-12-31", "2000-02-29", "1900-02-28"] + rnd(R, day), "time without time zone#tame": ["00:00:00", "23:59:59.999999"] + rnd(R, clock),
 "timestamp without time zone#tame": ["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"] + rnd(R, lambda: day() + " " + clock()),
 "timestamp with time zone#tame": ["0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00", "1969-12-31 23:59:59.999999+00"] + rnd(R, lambda: day() + " " + clock() + random.choice(["+00", "+05:30", "-09:00"]) if True else ""),
 "real#tame": [v for v in rnd(R, f4)] + ["Infinity", "-Infinity", "0", "1e-45", "3.4028235e38"], "double precision#tame": rnd(R, f8) + ["Infinity", "-Infinity", "0", "5e-324", "1.7976931348623157e308", "1", "9007199254740993"],
 "numeric(10,2)#tame": rnd(R, lambda: nps(10, 2)) + ["0", "-99999999.99"], "numeric(15,0)#tame": rnd(R, lambda: nps(15, 0)), "numeric(14,4)#tame": rnd(R, lambda: nps(14, 4)), "numeric(18,0)#nan": ["NaN", "1"], "numeric(18,2)#tame": rnd(R, lambda: nps(18, 2)), "numeric(28,10)#tame": rnd(R, lambda: nps(28, 10)), "numeric(36,10)#tame": rnd(R, lambda: nps(36, 10)), "numeric(5,-2)#tame": ["1234567", "-9999900", "0"],
 "numeric(3,2)[]": ["{1.5,NULL}"], "tsquery#tame": ["'a' & !'b'"], "interval#tame": [f"{random.randint(-100,100)} mons {random.randint(-1000,1000)} days {random.randint(-10**9,10**9)/1000} s" for _ in range(R)],
 "integer[]#tame": ["{" + ",".join(str(random.randint(-2**31, 2**31 - 1)) for _ in range(random.randint(0, 9))) + "}" for _ in range(100)], "text#numbers": ["1", "007", "1.10", "1e3", "-0", " 7 ", "0x1A", "99999999999999999999", "nan", "inf"]}
SETUP += ["create domain dbytea as bytea", "create domain dfloat as float8", "create domain dbool as boolean", "create domain ddate as date", "create domain duuid as uuid", "create type nest as (p pair[], d price[], m mood, k \"Point Kind\")",
  "create type bare", "create function bare_in(cstring) returns bare as 'textin' language internal strict immutable", "create function bare_out(bare) returns cstring as 'textout' language internal strict immutable", "create type bare (input = bare_in, output = bare_out, like = text)",
  "create type wired", "create function wired_in(cstring) returns wired as 'textin' language internal strict immutable", "create function wired_out(wired) returns cstring as 'textout' language internal strict immutable", "create function wired_send(wired) returns bytea as 'textsend' language internal strict immutable", "create function wired_recv(internal) returns wired as 'textrecv' language internal strict immutable", "create type wired (input = wired_in, output = wired_out, send = wired_send, receive = wired_recv, like = text)"]
ZOO |= {"dbytea": ["\\x00ff", ""], "dfloat": ["-0", "NaN", "0.1"], "dbool": ["true"], "ddate": ["infinity", "2024-01-01"], "duuid": ["00000000-0000-0000-0000-000000000000"], "nest": ['("{""(1,\\\\""a,b\\\\"")"",NULL}","{1.5,NULL}",007,"1e3")', "(,,,)"], "nest[]": ['{"(,,sad,)",NULL}'], "bare": ["007", "x"], "wired": ["007", "x", ""], "wired[]": ["{007,NULL}"], "bare[]": ["{007,NULL}"]}

SETUP += ["create type cw as enum ('a','b')", "create function t2cw(text) returns cw language sql as $$ select 'b'::cw $$", "create cast (text as cw) with function t2cw(text)"]
ZOO |= {"cw": ["a", "b"], "cw[]": ["{a,NULL}"]}

SETUP += ["create domain dxml as xml"]
ZOO |= {"xml": ["<a/>", "just text", "<a  b='1'>\n <c/></a>", '<?xml version="1.0" encoding="UTF-8"?><a>é</a>', '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>', '<?xml version="1.0" standalone="yes"?><a/>', "7", " ", "<a/><b/>", "<!-- c --><a>&lt;</a>", "<!DOCTYPE a><a/>"], "xml[]": ["{<a/>,NULL}", '{"<?xml version=\\"1.0\\" encoding=\\"UTF-8\\"?><a/>"}'], "dxml": ["<a/>", '<?xml version="1.0" encoding="UTF-8"?><a/>']}
