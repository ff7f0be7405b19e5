/* SPDX-License-Identifier: BSD-2-Clause */
/* Made by tests/signatures/update.sh: see signatures.h. */
#include "signatures.h"

static const uint32_t moved_0[] = {
	84, 788, 980, 1492, 1572, 2132, 3012, 3140, 3252, 3492, 4871, 5639, 6484, 7460, 7988, 8180,
	8292, 8372, 8820, 8980, 9332, 9556, 10100, 10324, 11396, 11588, 11700, 11780,
};
static const uint32_t moved_1[] = {
	116, 612, 836, 1268, 1444, 1620, 1972, 2548, 2708, 2948, 3220,
};
static const uint32_t moved_2[] = {
	148, 628, 820, 1140, 1547, 2308, 3060, 3268, 3380, 3764, 3908, 3988, 4148, 4628, 4804, 4996,
	5108, 5188,
};
static const uint32_t moved_3[] = {
	372, 1092, 1780, 2004, 3396, 4516, 4884, 5348, 5540, 5652, 5732, 6596, 7028, 7156, 7431, 8340,
	8644, 8836, 9636, 10372, 10900, 11092, 11204, 11284, 11460, 11892, 12100, 13316, 13588, 13668,
};
static const uint32_t moved_4[] = {
	84,
};
static const uint32_t moved_5[] = {
	36, 356, 500, 660,
};
static const uint32_t moved_6[] = {
	36, 276, 772, 916, 1015,
};
static const uint32_t moved_7[] = {
	740, 1028, 1508, 1620, 1924, 2804, 5684, 6212, 6404, 6516, 6596, 7428, 7559, 8711, 9540, 10708,
	10932, 11588, 11780, 12052, 12404, 13172, 14036, 14228, 14340, 14420,
};
static const uint32_t moved_8[] = {
	260, 580, 1412, 1524, 4628, 4852, 5668, 7940, 8228, 8420, 8532, 8612, 8724, 8916, 9028, 9108,
	9460, 9620,
};
static const uint32_t moved_9[] = {
	212, 724, 836, 916, 1156, 1428, 2148, 2852, 3236, 3428, 3796, 4180, 4388, 4660, 4852, 5172,
	5364, 5940, 6132, 6580, 6788, 6868, 7236, 7780,
};
static const uint32_t moved_10[] = {
	740,
};
static const uint32_t moved_11[] = {
	564, 852, 1044, 1892, 3284, 3364,
};
static const uint32_t moved_12[] = {
	564, 852, 1044, 1892, 3284, 3364,
};
static const uint32_t moved_13[] = {
	1028, 1220, 1732, 3716, 4468, 6676, 7780, 11028,
};
static const uint32_t moved_14[] = {
	372, 4404, 5236, 6468, 6964, 7204, 7316, 7492, 7972, 8244, 8324,
};
static const uint32_t moved_15[] = {
	1156, 1476, 1716, 1988, 2068, 3252, 3396, 3508, 3588, 4212, 9844, 10164, 10948, 11188, 13748, 13844,
	14484, 15668, 16004, 16084, 16436, 16868, 17204, 17284, 17636, 17892, 18356, 18436, 18612, 18852, 18932,
};
static const uint32_t moved_16[] = {
	2596, 3268, 6148, 8996, 9956, 12180, 14260, 16452, 17028, 17156, 18724,
};
static const uint32_t moved_17[] = {
	356, 788,
};
static const uint32_t moved_18[] = {
	388, 484,
};
static const uint32_t moved_19[] = {
	180, 964, 1220, 1412, 1591, 2292, 2948, 3092, 4164, 4356, 4468, 4708, 6196, 6372, 6980, 7748,
	7860, 8084, 8164, 8340, 8551, 9060, 9284, 9620, 9844, 10388, 10500, 10724, 10804, 11076, 11412, 11828,
	11908, 12180,
};
static const uint32_t moved_20[] = {
	311, 676, 900, 1076, 1684, 2084, 2260, 2596, 2756, 2884, 3460, 3732,
};
static const uint32_t moved_21[] = {
	148, 276, 740, 1252, 1588, 1668, 2004, 2183, 2740, 3284, 3396, 3636, 3924, 4052, 4164, 4244,
	4388, 4500, 4692, 4772,
};
static const uint32_t moved_22[] = {
	356, 1044, 1668, 1892, 2068, 3716, 4388, 5060, 5236, 6420, 6868, 7236, 7700, 9172, 9556, 10708,
	10868, 11092, 11444, 11524, 12036, 12532, 12660, 12807, 13236, 13844, 14276, 14532, 14900, 14980, 15172, 15956,
	16164, 16452, 16772, 17316, 17428, 17652, 17732, 17844, 17956, 18180, 18260, 18372, 18484, 18708, 18788,
};
static const uint32_t moved_23[] = {
	36, 164, 484, 772,
};
static const uint32_t moved_24[] = {
	36, 260, 404, 532, 644, 788,
};
static const uint32_t moved_25[] = {
	36, 260, 676, 788, 887,
};
static const uint32_t moved_26[] = {
	724, 980, 1188, 1367, 2100, 2420, 3268, 3940, 4628, 5172, 5284, 5588, 5828, 6132, 6356, 7204,
	8004, 9764, 10260, 10548, 10788, 11284, 12036, 12167, 12612, 12804, 13124, 13460, 13828, 14100, 14212, 14436,
	14516, 14628, 14740, 14964, 15044,
};
static const uint32_t moved_27[] = {
	260, 564, 1284, 1396, 4452, 5476, 6196, 8964, 9252, 9364, 9588, 9668, 9780, 9892, 10116, 10196,
	10356, 10516, 10724,
};
static const uint32_t moved_28[] = {
	36, 468, 580, 804, 1044, 1300, 1844, 2420, 2852, 2948, 3252, 3348, 3700, 3876, 4148, 4244,
	4532, 4628, 4932, 5188, 5764,
};
static const uint32_t moved_29[] = {
	36, 948, 1812,
};
static const uint32_t moved_30[] = {
	516, 804, 996, 1892, 3284, 3364,
};
static const uint32_t moved_31[] = {
	516, 804, 996, 1892, 3284, 3364,
};
static const uint32_t moved_32[] = {
	836, 1028, 1572, 3652, 8980, 9364, 9780, 11316,
};
static const uint32_t moved_33[] = {
	436, 4404, 5236, 6324, 6836, 7476, 7588, 7828, 8052, 8276, 8548, 8900,
};
static const uint32_t moved_34[] = {
	1252, 1572, 1684, 1924, 2196, 2276, 3412, 3556, 3684, 4260, 9588, 9908, 10692, 10804, 11044, 13540,
	13636, 14356, 15924, 16708, 16996, 17108, 17412, 17732, 18100, 18276, 18516,
};
static const uint32_t moved_35[] = {
	2596, 3284, 6148, 8948, 9908, 12180, 14276, 16452, 17028, 17156, 18724,
};
static const uint32_t moved_36[] = {
	356, 788,
};
static const uint32_t moved_37[] = {
	340, 436,
};
static const uint32_t moved_38[] = {
	180, 964, 1220, 1412, 1591, 2292, 2948, 3092, 4164, 4356, 4468, 4708, 6196, 6372, 6980, 7748,
	7860, 8084, 8164, 8340, 8551, 9060, 9284, 9620, 9844, 10388, 10500, 10724, 10804, 11076, 11412, 11828,
	11908, 12180,
};
static const uint32_t moved_39[] = {
	311, 676, 900, 1076, 1684, 2084, 2260, 2596, 2756, 2884, 3460, 3732,
};
static const uint32_t moved_40[] = {
	148, 276, 740, 1252, 1588, 1668, 2004, 2183, 2740, 3284, 3396, 3636, 3924, 4052, 4164, 4244,
	4388, 4500, 4692, 4772,
};
static const uint32_t moved_41[] = {
	356, 1044, 1668, 1892, 2068, 3716, 4388, 5060, 5236, 6420, 6868, 7236, 7700, 9172, 9556, 10708,
	10868, 11092, 11444, 11524, 12036, 12532, 12660, 12807, 13236, 13844, 14276, 14532, 14900, 14980, 15172, 15956,
	16164, 16452, 16772, 17316, 17428, 17652, 17732, 17844, 17956, 18180, 18260, 18372, 18484, 18708, 18788,
};
static const uint32_t moved_42[] = {
	36, 164, 484, 772,
};
static const uint32_t moved_43[] = {
	36, 260, 404, 532, 644, 788,
};
static const uint32_t moved_44[] = {
	36, 260, 676, 788, 887,
};
static const uint32_t moved_45[] = {
	724, 980, 1188, 1367, 2100, 2420, 3268, 3940, 4628, 5172, 5284, 5588, 5828, 6132, 6356, 7204,
	8004, 9764, 10260, 10548, 10788, 11284, 12036, 12167, 12612, 12804, 13124, 13460, 13828, 14100, 14212, 14436,
	14516, 14628, 14740, 14964, 15044,
};
static const uint32_t moved_46[] = {
	260, 564, 1284, 1396, 4452, 5476, 6196, 8964, 9252, 9364, 9588, 9668, 9780, 9892, 10116, 10196,
	10356, 10516, 10724,
};
static const uint32_t moved_47[] = {
	36, 468, 580, 804, 1044, 1300, 1844, 2420, 2852, 2948, 3252, 3348, 3700, 3876, 4148, 4244,
	4532, 4628, 4932, 5188, 5764,
};
static const uint32_t moved_48[] = {
	36, 948, 1812,
};
static const uint32_t moved_49[] = {
	180, 964, 1156, 2372, 2500, 2612, 2788, 3108, 3287, 4004, 4740, 4884, 5700, 5892, 6004, 6084,
	6164, 6375, 6884, 7108, 8036, 8164, 8708, 9476, 9668, 9780, 9860, 10356, 10580, 11316, 11396, 11588,
	11876, 12244,
};
static const uint32_t moved_50[] = {
	439, 900, 1124, 1300, 2740, 3124, 3332, 3684, 4644, 4820, 5156, 5316, 5444, 6036, 6324, 6404,
	6580, 6660, 6852, 7124, 7716,
};
static const uint32_t moved_51[] = {
	148, 276, 740, 1252, 1588, 1668, 2004, 2311, 2868, 3412, 3524, 3764, 4052, 4180, 4292, 4372,
	4516, 4708, 4820, 4900,
};
static const uint32_t moved_52[] = {
	356, 1044, 2676, 2900, 4180, 4932, 5748, 5924, 6756, 6948, 7060, 7140, 7316, 7940, 8372, 9380,
	9924, 10068, 10900, 11092, 11204, 11284, 11460, 12052, 13620, 14020, 15252, 15412, 15700, 16052, 16132, 16612,
	17060, 17188, 17415, 17844, 18548, 19012, 19284, 19764, 19844, 20116, 20900, 21828, 22212, 22420, 22788, 23828,
	24212, 24724, 24916, 24996, 25108, 25188, 25812, 26164, 26356, 26468, 26548, 26660, 26852, 26964, 27044,
};
static const uint32_t moved_53[] = {
	36, 164, 484, 772,
};
static const uint32_t moved_54[] = {
	164, 644, 775, 1380,
};
static const uint32_t moved_55[] = {
	36, 260, 404, 532, 644, 788,
};
static const uint32_t moved_56[] = {
	36, 260, 676, 788, 887,
};
static const uint32_t moved_57[] = {
	756, 1540, 1796, 4164, 4292, 4404, 4580, 4900, 5079, 5796, 6116, 6964, 7412, 7620, 8148, 8340,
	8628, 8740, 9223, 10244, 11060, 12580, 12868, 13092, 13924, 14276, 15060, 15684, 16180, 16260, 16388, 16676,
	17044, 17316, 17508, 17620, 17700,
};
static const uint32_t moved_58[] = {
	260, 564, 1284, 1396, 4836, 5764, 6612, 9380, 9636, 9828, 9940, 10020, 10132, 10324, 10436, 10516,
	10676, 10836, 11076,
};
static const uint32_t moved_59[] = {
	36, 468, 580, 804, 1044, 1316, 1684, 2068, 2836, 3188, 3444, 3620, 3716, 4020, 4116, 4404,
	4500, 4916, 5012, 5444, 5700,
};
static const uint32_t moved_60[] = {
	36, 948, 1812,
};
static const uint32_t moved_61[] = {
	580, 868, 1060, 1892, 4052, 4132,
};
static const uint32_t moved_62[] = {
	580, 868, 1060, 1892, 4052, 4132,
};
static const uint32_t moved_63[] = {
	1012, 1172, 1700, 3780, 8980, 9364, 9652, 11300,
};
static const uint32_t moved_64[] = {
	436, 3364, 4212, 5300, 5412, 5636, 5860, 6084, 6356, 6724,
};
static const uint32_t moved_65[] = {
	1332, 2068, 3044, 3156, 3396, 5972, 6116, 6628, 7044, 11732, 12052, 12164, 12404, 12772, 12884, 12980,
	13060, 14180, 14324, 14756, 15108, 15364, 16276, 18052, 18756, 18964, 19140, 19348,
};
static const uint32_t moved_66[] = {
	2660, 3348, 6148, 8644, 9604, 11668, 14292, 16324, 16900, 17028, 18212,
};
static const uint32_t moved_67[] = {
	420, 916,
};
static const uint32_t moved_68[] = {
	404, 500,
};
static const uint32_t moved_69[] = {
	84, 356, 788, 1012, 2100, 2484, 2564, 2779, 3396, 4084, 5108, 5588, 5940, 6052, 6356, 6436,
	6692, 6868, 6980, 7172, 7284, 7364,
};
static const uint32_t moved_70[] = {
	196, 852, 1908, 2260, 3956, 4036,
};
static const uint32_t moved_71[] = {
	532, 740, 1044, 2452, 2980, 3364, 3636, 3716, 3988, 6196, 6820, 6900,
};
static const uint32_t moved_72[] = {
	2404, 2628, 3444, 4340, 4804, 4996, 5108, 5188, 6452, 6868, 7348, 7780, 7972, 8084, 8164, 8327,
	8996, 10884, 11444, 12580, 12740, 12964, 13364, 13444, 13636, 13844, 14132, 14644, 15204, 15332, 15860, 16660,
	17108, 17876, 18820, 19380, 19460, 19620, 20036, 20420,
};
static const uint32_t moved_73[] = {
	20,
};
static const uint32_t moved_74[] = {
	244, 391,
};
static const uint32_t moved_75[] = {
	20,
};
static const uint32_t moved_76[] = {
	20,
};
static const uint32_t moved_77[] = {
	100, 180,
};
static const uint32_t moved_78[] = {
	100, 475,
};
static const uint32_t moved_79[] = {
	500, 1348, 3524, 3748, 4052, 6407, 7540, 7620,
};
static const uint32_t moved_80[] = {
	84, 1028, 4580, 5476, 6324, 8996, 9252, 9444, 9556, 9636, 9748, 9940, 10052, 10132, 10292, 10532,
};
static const uint32_t moved_81[] = {
	276, 628, 996, 1172, 1348, 1972, 2356, 2612, 2868, 3028, 3300, 3476, 3812, 3988, 4276, 4356,
	4724, 4868,
};
static const uint32_t moved_82[] = {
	660,
};
static const uint32_t moved_83[] = {
	724, 1012, 1204, 2148, 4276, 4628,
};
static const uint32_t moved_84[] = {
	724, 1012, 1204, 2148, 4276, 4628,
};
static const uint32_t moved_85[] = {
	948, 1108, 1732, 4180, 9620, 10004, 10292, 11844,
};
static const uint32_t moved_86[] = {
	340, 3300, 3956, 5028, 5412, 5524, 5700, 6164, 6500, 7092, 7316,
};
static const uint32_t moved_87[] = {
	1684, 3172, 3300, 3508, 5796, 6148, 6404, 6980, 11732, 12036, 12164, 12372, 12740, 12852, 12948, 13028,
	14180, 14324, 14612, 15508, 17284, 17604, 17812, 18804, 18980,
};
static const uint32_t moved_88[] = {
	2628, 3332, 6164, 8692, 11924, 14740, 15604, 16388, 16516, 17732,
};
static const uint32_t moved_89[] = {
	420, 916,
};
static const uint32_t moved_90[] = {
	452, 596,
};

const struct signature signature_table[] = {
	{ .libc = "glibc 2.31-13+deb11u11", .section = 0, .start = 19088, .names = { "malloc", "__libc_malloc", "__malloc" },
	  .nbytes = 740, .align = 16, .nr_fixed = 622, .hash = 0x32b5ca57de12898cull,
	  .head = { 65, 84, 72, 139, 5, 0, 0, 0, 0, 85, 72, 137, 253, 83, 72, 133 },
	  .head_moved = { 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_0, .nr_moved = 28 },
	{ .libc = "glibc 2.31-13+deb11u11", .section = 0, .start = 20656, .names = { "free", "__libc_free", "__free" },
	  .nbytes = 223, .align = 16, .nr_fixed = 179, .hash = 0xc398ebe9efe03353ull,
	  .head = { 72, 131, 236, 24, 72, 139, 5, 0, 0, 0, 0, 72, 133, 192, 117, 120 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0 },
	  .moved = moved_1, .nr_moved = 11 },
	{ .libc = "glibc 2.31-13+deb11u11", .section = 0, .start = 20880, .names = { "__malloc_arena_thread_freeres" },
	  .nbytes = 328, .align = 16, .nr_fixed = 249, .hash = 0x4f0fda040a4ca6eaull,
	  .head = { 65, 84, 85, 83, 100, 76, 139, 36, 37, 0, 0, 0, 0, 77, 133, 228 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0 },
	  .moved = moved_2, .nr_moved = 18 },
	{ .libc = "glibc 2.31-13+deb11u11", .section = 0, .start = 21216, .names = { "realloc", "__libc_realloc", "__realloc" },
	  .nbytes = 858, .align = 16, .nr_fixed = 735, .hash = 0xdc409c82a9366743ull,
	  .head = { 65, 87, 65, 86, 65, 85, 65, 84, 73, 137, 244, 85, 72, 137, 253, 83 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_3, .nr_moved = 30 },
	{ .libc = "glibc 2.31-13+deb11u11", .section = 0, .start = 22160, .names = { "aligned_alloc", "__libc_memalign", "__memalign", "memalign" },
	  .nbytes = 9, .align = 16, .nr_fixed = 5, .hash = 0x36e01e01168150b0ull,
	  .head = { 72, 139, 20, 36, 233, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .head_moved = { 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_4, .nr_moved = 1 },
	{ .libc = "glibc 2.31-13+deb11u11", .section = 0, .start = 22176, .names = { "valloc", "__libc_valloc", "__valloc" },
	  .nbytes = 47, .align = 16, .nr_fixed = 31, .hash = 0xefe1bdedd860c9f6ull,
	  .head = { 139, 5, 0, 0, 0, 0, 85, 72, 137, 253, 133, 192, 120, 26, 72, 139 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_5, .nr_moved = 4 },
	{ .libc = "glibc 2.31-13+deb11u11", .section = 0, .start = 22224, .names = { "pvalloc", "__libc_pvalloc", "__pvalloc" },
	  .nbytes = 81, .align = 16, .nr_fixed = 58, .hash = 0x70158931e233be3eull,
	  .head = { 139, 5, 0, 0, 0, 0, 83, 72, 137, 251, 133, 192, 120, 42, 72, 139 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_6, .nr_moved = 5 },
	{ .libc = "glibc 2.31-13+deb11u11", .section = 0, .start = 22320, .names = { "calloc", "__libc_calloc", "__calloc" },
	  .nbytes = 905, .align = 16, .nr_fixed = 795, .hash = 0x3e90a2fe84b85cdbull,
	  .head = { 65, 85, 72, 137, 248, 65, 84, 85, 83, 72, 131, 236, 8, 72, 247, 230 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_7, .nr_moved = 26 },
	{ .libc = "glibc 2.31-13+deb11u11", .section = 0, .start = 23232, .names = { "malloc_trim", "__malloc_trim" },
	  .nbytes = 719, .align = 16, .nr_fixed = 647, .hash = 0xaee12ef174ea6c8aull,
	  .head = { 65, 87, 65, 86, 65, 85, 65, 84, 85, 83, 72, 131, 236, 40, 139, 5 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_8, .nr_moved = 18 },
	{ .libc = "glibc 2.31-13+deb11u11", .section = 0, .start = 25024, .names = { "mallopt", "__libc_mallopt", "__mallopt" },
	  .nbytes = 497, .align = 16, .nr_fixed = 401, .hash = 0x5a1802de81e7c63cull,
	  .head = { 85, 137, 253, 83, 72, 99, 222, 72, 131, 236, 8, 139, 5, 0, 0, 0 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255 },
	  .moved = moved_9, .nr_moved = 24 },
	{ .libc = "glibc 2.31-13+deb11u11", .section = 0, .start = 25536, .names = { "posix_memalign", "__posix_memalign" },
	  .nbytes = 87, .align = 16, .nr_fixed = 83, .hash = 0xd34e749de58cc8c8ull,
	  .head = { 83, 72, 137, 251, 72, 137, 247, 72, 137, 214, 72, 137, 250, 72, 193, 234 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_10, .nr_moved = 1 },
	{ .libc = "musl 1.2.2-1", .section = 3, .start = 0, .names = { "calloc" },
	  .nbytes = 230, .align = 16, .nr_fixed = 206, .hash = 0x7ba1aab926a5a871ull,
	  .head = { 65, 84, 73, 137, 252, 72, 137, 247, 85, 83, 72, 133, 246, 116, 12, 76 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_11, .nr_moved = 6 },
	{ .libc = "musl 1.2.2-1", .section = 5, .start = 0, .names = { "__libc_calloc" },
	  .nbytes = 230, .align = 16, .nr_fixed = 206, .hash = 0x7ba1aab926a5a871ull,
	  .head = { 65, 84, 73, 137, 252, 72, 137, 247, 85, 83, 72, 133, 246, 116, 12, 76 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_12, .nr_moved = 6 },
	{ .libc = "musl 1.2.2-1", .section = 8, .start = 0, .names = { "aligned_alloc" },
	  .nbytes = 877, .align = 16, .nr_fixed = 845, .hash = 0x7fc8263af2223128ull,
	  .head = { 85, 72, 137, 248, 83, 72, 247, 216, 72, 33, 248, 72, 131, 236, 8, 72 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_13, .nr_moved = 8 },
	{ .libc = "musl 1.2.2-1", .section = 9, .start = 0, .names = { "__libc_free" },
	  .nbytes = 536, .align = 16, .nr_fixed = 492, .hash = 0x857fc469f1824114ull,
	  .head = { 72, 133, 255, 15, 132, 95, 1, 0, 0, 65, 85, 73, 137, 250, 65, 84 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_14, .nr_moved = 11 },
	{ .libc = "musl 1.2.2-1", .section = 10, .start = 0, .names = { "__libc_malloc_impl" },
	  .nbytes = 1210, .align = 16, .nr_fixed = 1086, .hash = 0x9aba96cf151b81f6ull,
	  .head = { 72, 184, 254, 239, 255, 255, 255, 255, 255, 127, 65, 86, 65, 85, 65, 84 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_15, .nr_moved = 31 },
	{ .libc = "musl 1.2.2-1", .section = 11, .start = 0, .names = { "__libc_realloc" },
	  .nbytes = 1194, .align = 16, .nr_fixed = 1150, .hash = 0x42ac545bea5adcb0ull,
	  .head = { 65, 87, 65, 86, 65, 85, 65, 84, 73, 137, 244, 85, 83, 72, 131, 236 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_16, .nr_moved = 11 },
	{ .libc = "musl 1.2.2-1", .section = 13, .start = 0, .names = { "posix_memalign" },
	  .nbytes = 57, .align = 16, .nr_fixed = 49, .hash = 0x40600c8cf37f8677ull,
	  .head = { 83, 184, 22, 0, 0, 0, 72, 137, 251, 72, 137, 247, 72, 131, 254, 7 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_17, .nr_moved = 2 },
	{ .libc = "musl 1.2.2-1", .section = 15, .start = 0, .names = { "reallocarray" },
	  .nbytes = 44, .align = 16, .nr_fixed = 36, .hash = 0x1a2a085f9c87640eull,
	  .head = { 72, 137, 241, 72, 137, 214, 72, 133, 210, 116, 8, 72, 137, 200, 72, 247 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_18, .nr_moved = 2 },
	{ .libc = "glibc 2.36-9+deb12u14", .section = 16, .start = 17056, .names = { "malloc", "__libc_malloc", "__malloc" },
	  .nbytes = 775, .align = 16, .nr_fixed = 633, .hash = 0x3f9fc025287c7ed0ull,
	  .head = { 85, 72, 137, 253, 83, 72, 131, 236, 24, 128, 61, 0, 0, 0, 0, 0 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0 },
	  .moved = moved_19, .nr_moved = 34 },
	{ .libc = "glibc 2.36-9+deb12u14", .section = 16, .start = 18512, .names = { "free", "__libc_free", "__free" },
	  .nbytes = 255, .align = 16, .nr_fixed = 204, .hash = 0x1c40083306774139ull,
	  .head = { 72, 133, 255, 15, 132, 191, 0, 0, 0, 85, 72, 141, 119, 240, 83, 72 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_20, .nr_moved = 12 },
	{ .libc = "glibc 2.36-9+deb12u14", .section = 16, .start = 18768, .names = { "__malloc_arena_thread_freeres" },
	  .nbytes = 302, .align = 16, .nr_fixed = 219, .hash = 0xea9447535653d4faull,
	  .head = { 65, 84, 85, 83, 100, 72, 139, 44, 37, 0, 0, 0, 0, 100, 198, 4 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0 },
	  .moved = moved_21, .nr_moved = 20 },
	{ .libc = "glibc 2.36-9+deb12u14", .section = 16, .start = 19072, .names = { "realloc", "__libc_realloc", "__realloc" },
	  .nbytes = 1178, .align = 16, .nr_fixed = 987, .hash = 0x56f16ec585ceab1eull,
	  .head = { 65, 87, 65, 86, 65, 85, 65, 84, 85, 72, 137, 245, 83, 72, 137, 251 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_22, .nr_moved = 47 },
	{ .libc = "glibc 2.36-9+deb12u14", .section = 16, .start = 20256, .names = { "aligned_alloc", "__libc_memalign", "__memalign", "memalign" },
	  .nbytes = 52, .align = 16, .nr_fixed = 36, .hash = 0xa0e05b20d5fb9a3cull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 116, 7, 233, 0, 0, 0, 0, 102, 144 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0 },
	  .moved = moved_23, .nr_moved = 4 },
	{ .libc = "glibc 2.36-9+deb12u14", .section = 16, .start = 20320, .names = { "valloc", "__libc_valloc", "__valloc" },
	  .nbytes = 53, .align = 16, .nr_fixed = 29, .hash = 0x67391ffc619a449eull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 83, 72, 137, 251, 116, 19, 72, 139, 61 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_24, .nr_moved = 6 },
	{ .libc = "glibc 2.36-9+deb12u14", .section = 16, .start = 20384, .names = { "pvalloc", "__libc_pvalloc", "__pvalloc" },
	  .nbytes = 73, .align = 16, .nr_fixed = 50, .hash = 0xb833bc9fff988504ull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 83, 72, 137, 251, 116, 35, 72, 139, 61 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_25, .nr_moved = 5 },
	{ .libc = "glibc 2.36-9+deb12u14", .section = 16, .start = 20464, .names = { "calloc", "__libc_calloc", "__calloc" },
	  .nbytes = 944, .align = 16, .nr_fixed = 790, .hash = 0x6e9346ecd60bf072ull,
	  .head = { 65, 85, 72, 137, 248, 65, 84, 85, 83, 72, 131, 236, 24, 72, 247, 230 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_26, .nr_moved = 37 },
	{ .libc = "glibc 2.36-9+deb12u14", .section = 16, .start = 21408, .names = { "malloc_trim", "__malloc_trim" },
	  .nbytes = 679, .align = 16, .nr_fixed = 603, .hash = 0x36cb0b7d8107817bull,
	  .head = { 65, 87, 65, 86, 65, 85, 65, 84, 85, 83, 72, 131, 236, 40, 128, 61 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_27, .nr_moved = 19 },
	{ .libc = "glibc 2.36-9+deb12u14", .section = 16, .start = 23072, .names = { "mallopt", "__libc_mallopt", "__mallopt" },
	  .nbytes = 369, .align = 16, .nr_fixed = 285, .hash = 0x42e3f62abebc4324ull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 65, 84, 85, 72, 99, 238, 83, 137, 251 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_28, .nr_moved = 21 },
	{ .libc = "glibc 2.36-9+deb12u14", .section = 16, .start = 23456, .names = { "posix_memalign", "__posix_memalign" },
	  .nbytes = 119, .align = 16, .nr_fixed = 107, .hash = 0xeaf3305a849fc612ull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 65, 84, 73, 137, 212, 85, 72, 137, 253 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_29, .nr_moved = 3 },
	{ .libc = "musl 1.2.3-1", .section = 19, .start = 0, .names = { "calloc" },
	  .nbytes = 230, .align = 16, .nr_fixed = 206, .hash = 0x005384990ad38638ull,
	  .head = { 65, 84, 73, 137, 244, 85, 83, 72, 133, 246, 116, 12, 72, 137, 248, 72 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_30, .nr_moved = 6 },
	{ .libc = "musl 1.2.3-1", .section = 21, .start = 0, .names = { "__libc_calloc" },
	  .nbytes = 230, .align = 16, .nr_fixed = 206, .hash = 0x005384990ad38638ull,
	  .head = { 65, 84, 73, 137, 244, 85, 83, 72, 133, 246, 116, 12, 72, 137, 248, 72 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_31, .nr_moved = 6 },
	{ .libc = "musl 1.2.3-1", .section = 24, .start = 0, .names = { "aligned_alloc" },
	  .nbytes = 877, .align = 16, .nr_fixed = 845, .hash = 0xbb61451e92db0399ull,
	  .head = { 85, 72, 137, 248, 83, 72, 247, 216, 72, 33, 248, 72, 131, 236, 8, 72 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_32, .nr_moved = 8 },
	{ .libc = "musl 1.2.3-1", .section = 25, .start = 0, .names = { "__libc_free" },
	  .nbytes = 576, .align = 16, .nr_fixed = 528, .hash = 0x2b722abd9771ad4eull,
	  .head = { 72, 133, 255, 15, 132, 87, 1, 0, 0, 65, 87, 73, 137, 249, 65, 86 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_33, .nr_moved = 12 },
	{ .libc = "musl 1.2.3-1", .section = 26, .start = 0, .names = { "__libc_malloc_impl" },
	  .nbytes = 1183, .align = 16, .nr_fixed = 1075, .hash = 0xb6febecdbf4f2fa7ull,
	  .head = { 72, 184, 254, 239, 255, 255, 255, 255, 255, 127, 65, 87, 65, 86, 65, 85 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_34, .nr_moved = 27 },
	{ .libc = "musl 1.2.3-1", .section = 27, .start = 0, .names = { "__libc_realloc" },
	  .nbytes = 1194, .align = 16, .nr_fixed = 1150, .hash = 0x150e34ebd4224289ull,
	  .head = { 65, 87, 65, 86, 65, 85, 65, 84, 73, 137, 244, 85, 83, 72, 131, 236 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_35, .nr_moved = 11 },
	{ .libc = "musl 1.2.3-1", .section = 29, .start = 0, .names = { "posix_memalign" },
	  .nbytes = 57, .align = 16, .nr_fixed = 49, .hash = 0x40600c8cf37f8677ull,
	  .head = { 83, 184, 22, 0, 0, 0, 72, 137, 251, 72, 137, 247, 72, 131, 254, 7 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_36, .nr_moved = 2 },
	{ .libc = "musl 1.2.3-1", .section = 31, .start = 0, .names = { "reallocarray" },
	  .nbytes = 41, .align = 16, .nr_fixed = 33, .hash = 0x60cf5729a2f2d91eull,
	  .head = { 72, 137, 209, 72, 133, 210, 116, 8, 72, 137, 240, 72, 247, 225, 112, 9 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_37, .nr_moved = 2 },
	{ .libc = "glibc 2.36-9+deb12u7", .section = 32, .start = 17040, .names = { "malloc", "__libc_malloc", "__malloc" },
	  .nbytes = 775, .align = 16, .nr_fixed = 633, .hash = 0x3f9fc025287c7ed0ull,
	  .head = { 85, 72, 137, 253, 83, 72, 131, 236, 24, 128, 61, 0, 0, 0, 0, 0 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0 },
	  .moved = moved_38, .nr_moved = 34 },
	{ .libc = "glibc 2.36-9+deb12u7", .section = 32, .start = 18496, .names = { "free", "__libc_free", "__free" },
	  .nbytes = 255, .align = 16, .nr_fixed = 204, .hash = 0x1c40083306774139ull,
	  .head = { 72, 133, 255, 15, 132, 191, 0, 0, 0, 85, 72, 141, 119, 240, 83, 72 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_39, .nr_moved = 12 },
	{ .libc = "glibc 2.36-9+deb12u7", .section = 32, .start = 18752, .names = { "__malloc_arena_thread_freeres" },
	  .nbytes = 302, .align = 16, .nr_fixed = 219, .hash = 0xea9447535653d4faull,
	  .head = { 65, 84, 85, 83, 100, 72, 139, 44, 37, 0, 0, 0, 0, 100, 198, 4 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0 },
	  .moved = moved_40, .nr_moved = 20 },
	{ .libc = "glibc 2.36-9+deb12u7", .section = 32, .start = 19056, .names = { "realloc", "__libc_realloc", "__realloc" },
	  .nbytes = 1178, .align = 16, .nr_fixed = 987, .hash = 0x56f16ec585ceab1eull,
	  .head = { 65, 87, 65, 86, 65, 85, 65, 84, 85, 72, 137, 245, 83, 72, 137, 251 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_41, .nr_moved = 47 },
	{ .libc = "glibc 2.36-9+deb12u7", .section = 32, .start = 20240, .names = { "aligned_alloc", "__libc_memalign", "__memalign", "memalign" },
	  .nbytes = 52, .align = 16, .nr_fixed = 36, .hash = 0xa0e05b20d5fb9a3cull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 116, 7, 233, 0, 0, 0, 0, 102, 144 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0 },
	  .moved = moved_42, .nr_moved = 4 },
	{ .libc = "glibc 2.36-9+deb12u7", .section = 32, .start = 20304, .names = { "valloc", "__libc_valloc", "__valloc" },
	  .nbytes = 53, .align = 16, .nr_fixed = 29, .hash = 0x67391ffc619a449eull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 83, 72, 137, 251, 116, 19, 72, 139, 61 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_43, .nr_moved = 6 },
	{ .libc = "glibc 2.36-9+deb12u7", .section = 32, .start = 20368, .names = { "pvalloc", "__libc_pvalloc", "__pvalloc" },
	  .nbytes = 73, .align = 16, .nr_fixed = 50, .hash = 0xb833bc9fff988504ull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 83, 72, 137, 251, 116, 35, 72, 139, 61 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_44, .nr_moved = 5 },
	{ .libc = "glibc 2.36-9+deb12u7", .section = 32, .start = 20448, .names = { "calloc", "__libc_calloc", "__calloc" },
	  .nbytes = 944, .align = 16, .nr_fixed = 790, .hash = 0x6e9346ecd60bf072ull,
	  .head = { 65, 85, 72, 137, 248, 65, 84, 85, 83, 72, 131, 236, 24, 72, 247, 230 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_45, .nr_moved = 37 },
	{ .libc = "glibc 2.36-9+deb12u7", .section = 32, .start = 21392, .names = { "malloc_trim", "__malloc_trim" },
	  .nbytes = 679, .align = 16, .nr_fixed = 603, .hash = 0x36cb0b7d8107817bull,
	  .head = { 65, 87, 65, 86, 65, 85, 65, 84, 85, 83, 72, 131, 236, 40, 128, 61 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_46, .nr_moved = 19 },
	{ .libc = "glibc 2.36-9+deb12u7", .section = 32, .start = 23056, .names = { "mallopt", "__libc_mallopt", "__mallopt" },
	  .nbytes = 369, .align = 16, .nr_fixed = 285, .hash = 0x42e3f62abebc4324ull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 65, 84, 85, 72, 99, 238, 83, 137, 251 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_47, .nr_moved = 21 },
	{ .libc = "glibc 2.36-9+deb12u7", .section = 32, .start = 23440, .names = { "posix_memalign", "__posix_memalign" },
	  .nbytes = 119, .align = 16, .nr_fixed = 107, .hash = 0xeaf3305a849fc612ull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 65, 84, 73, 137, 212, 85, 72, 137, 253 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_48, .nr_moved = 3 },
	{ .libc = "glibc 2.41-12+deb13u4", .section = 34, .start = 18640, .names = { "malloc", "__libc_malloc", "__malloc" },
	  .nbytes = 776, .align = 16, .nr_fixed = 634, .hash = 0xc78941fb5e28a070ull,
	  .head = { 85, 83, 72, 137, 251, 72, 131, 236, 24, 128, 61, 0, 0, 0, 0, 0 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0 },
	  .moved = moved_49, .nr_moved = 34 },
	{ .libc = "glibc 2.41-12+deb13u4", .section = 34, .start = 20416, .names = { "free", "__libc_free", "__free" },
	  .nbytes = 506, .align = 16, .nr_fixed = 419, .hash = 0x181af22046a87ae1ull,
	  .head = { 72, 133, 255, 15, 132, 119, 1, 0, 0, 65, 87, 65, 86, 65, 85, 65 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_50, .nr_moved = 21 },
	{ .libc = "glibc 2.41-12+deb13u4", .section = 34, .start = 20928, .names = { "__malloc_arena_thread_freeres" },
	  .nbytes = 310, .align = 16, .nr_fixed = 227, .hash = 0xa2102323fbde63f2ull,
	  .head = { 65, 84, 85, 83, 100, 72, 139, 44, 37, 0, 0, 0, 0, 100, 198, 4 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0 },
	  .moved = moved_51, .nr_moved = 20 },
	{ .libc = "glibc 2.41-12+deb13u4", .section = 34, .start = 21248, .names = { "realloc", "__libc_realloc", "__realloc" },
	  .nbytes = 1694, .align = 16, .nr_fixed = 1439, .hash = 0x54b1a291bee31c71ull,
	  .head = { 65, 87, 65, 86, 65, 85, 65, 84, 85, 72, 137, 245, 83, 72, 137, 251 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_52, .nr_moved = 63 },
	{ .libc = "glibc 2.41-12+deb13u4", .section = 34, .start = 22944, .names = { "memalign", "__libc_memalign", "__memalign" },
	  .nbytes = 52, .align = 16, .nr_fixed = 36, .hash = 0xa0e05b20d5fb9a3cull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 116, 7, 233, 0, 0, 0, 0, 102, 144 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0 },
	  .moved = moved_53, .nr_moved = 4 },
	{ .libc = "glibc 2.41-12+deb13u4", .section = 34, .start = 23008, .names = { "aligned_alloc" },
	  .nbytes = 97, .align = 16, .nr_fixed = 78, .hash = 0x114fdb01f899c2afull,
	  .head = { 83, 72, 137, 251, 72, 131, 236, 16, 128, 61, 0, 0, 0, 0, 0, 116 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0 },
	  .moved = moved_54, .nr_moved = 4 },
	{ .libc = "glibc 2.41-12+deb13u4", .section = 34, .start = 23120, .names = { "valloc", "__libc_valloc", "__valloc" },
	  .nbytes = 53, .align = 16, .nr_fixed = 29, .hash = 0x67391ffc619a449eull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 83, 72, 137, 251, 116, 19, 72, 139, 61 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_55, .nr_moved = 6 },
	{ .libc = "glibc 2.41-12+deb13u4", .section = 34, .start = 23184, .names = { "pvalloc", "__libc_pvalloc", "__pvalloc" },
	  .nbytes = 73, .align = 16, .nr_fixed = 50, .hash = 0xb833bc9fff988504ull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 83, 72, 137, 251, 116, 35, 72, 139, 61 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_56, .nr_moved = 5 },
	{ .libc = "glibc 2.41-12+deb13u4", .section = 34, .start = 23264, .names = { "calloc", "__libc_calloc", "__calloc" },
	  .nbytes = 1110, .align = 16, .nr_fixed = 956, .hash = 0x3d79f2d519f8d18cull,
	  .head = { 65, 86, 72, 137, 248, 65, 85, 65, 84, 85, 83, 72, 131, 236, 16, 72 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_57, .nr_moved = 37 },
	{ .libc = "glibc 2.41-12+deb13u4", .section = 34, .start = 24384, .names = { "malloc_trim", "__malloc_trim" },
	  .nbytes = 701, .align = 16, .nr_fixed = 625, .hash = 0x513d019c3ebd1fa7ull,
	  .head = { 65, 87, 65, 86, 65, 85, 65, 84, 85, 83, 72, 131, 236, 40, 128, 61 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_58, .nr_moved = 19 },
	{ .libc = "glibc 2.41-12+deb13u4", .section = 34, .start = 26128, .names = { "mallopt", "__libc_mallopt", "__mallopt" },
	  .nbytes = 365, .align = 16, .nr_fixed = 281, .hash = 0x80146fa47876ef95ull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 65, 84, 85, 72, 99, 238, 83, 137, 251 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_59, .nr_moved = 21 },
	{ .libc = "glibc 2.41-12+deb13u4", .section = 34, .start = 26496, .names = { "posix_memalign", "__posix_memalign" },
	  .nbytes = 119, .align = 16, .nr_fixed = 107, .hash = 0xeaf3305a849fc612ull,
	  .head = { 128, 61, 0, 0, 0, 0, 0, 65, 84, 73, 137, 212, 85, 72, 137, 253 },
	  .head_moved = { 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_60, .nr_moved = 3 },
	{ .libc = "musl 1.2.5-3.1~deb13u1", .section = 37, .start = 0, .names = { "calloc" },
	  .nbytes = 279, .align = 16, .nr_fixed = 255, .hash = 0xb16020532084b7aeull,
	  .head = { 243, 15, 30, 250, 65, 84, 85, 83, 72, 137, 243, 72, 133, 246, 116, 12 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_61, .nr_moved = 6 },
	{ .libc = "musl 1.2.5-3.1~deb13u1", .section = 39, .start = 0, .names = { "__libc_calloc" },
	  .nbytes = 279, .align = 16, .nr_fixed = 255, .hash = 0xb16020532084b7aeull,
	  .head = { 243, 15, 30, 250, 65, 84, 85, 83, 72, 137, 243, 72, 133, 246, 116, 12 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_62, .nr_moved = 6 },
	{ .libc = "musl 1.2.5-3.1~deb13u1", .section = 42, .start = 0, .names = { "aligned_alloc" },
	  .nbytes = 883, .align = 16, .nr_fixed = 851, .hash = 0xc3236c0fb8acb36dull,
	  .head = { 243, 15, 30, 250, 85, 72, 137, 248, 83, 72, 247, 216, 72, 33, 248, 72 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_63, .nr_moved = 8 },
	{ .libc = "musl 1.2.5-3.1~deb13u1", .section = 43, .start = 0, .names = { "__libc_free" },
	  .nbytes = 440, .align = 16, .nr_fixed = 400, .hash = 0x0369d02bfcc7ccaeull,
	  .head = { 243, 15, 30, 250, 72, 133, 255, 15, 132, 51, 1, 0, 0, 65, 85, 73 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_64, .nr_moved = 10 },
	{ .libc = "musl 1.2.5-3.1~deb13u1", .section = 44, .start = 0, .names = { "__libc_malloc_impl" },
	  .nbytes = 1218, .align = 16, .nr_fixed = 1106, .hash = 0x3a2e830bc5005df9ull,
	  .head = { 243, 15, 30, 250, 72, 184, 254, 239, 255, 255, 255, 255, 255, 127, 65, 87 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_65, .nr_moved = 28 },
	{ .libc = "musl 1.2.5-3.1~deb13u1", .section = 45, .start = 0, .names = { "__libc_realloc" },
	  .nbytes = 1193, .align = 16, .nr_fixed = 1149, .hash = 0x12a894781b51bb7eull,
	  .head = { 243, 15, 30, 250, 65, 87, 65, 86, 65, 85, 65, 84, 73, 137, 244, 85 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_66, .nr_moved = 11 },
	{ .libc = "musl 1.2.5-3.1~deb13u1", .section = 47, .start = 0, .names = { "posix_memalign" },
	  .nbytes = 65, .align = 16, .nr_fixed = 57, .hash = 0x41f81011e9d2a5c8ull,
	  .head = { 243, 15, 30, 250, 184, 22, 0, 0, 0, 72, 131, 254, 7, 118, 33, 83 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_67, .nr_moved = 2 },
	{ .libc = "musl 1.2.5-3.1~deb13u1", .section = 49, .start = 0, .names = { "reallocarray" },
	  .nbytes = 45, .align = 16, .nr_fixed = 37, .hash = 0x9c7b617568f256d8ull,
	  .head = { 243, 15, 30, 250, 72, 137, 209, 72, 133, 210, 116, 8, 72, 137, 208, 72 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_68, .nr_moved = 2 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 16944, .names = { "__malloc_arena_thread_freeres" },
	  .nbytes = 464, .align = 16, .nr_fixed = 369, .hash = 0xe312d018397fde32ull,
	  .head = { 65, 86, 72, 141, 5, 0, 0, 0, 0, 65, 84, 85, 83, 72, 131, 236 },
	  .head_moved = { 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_69, .nr_moved = 22 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 17408, .names = { "malloc", "__libc_malloc", "__malloc" },
	  .nbytes = 324, .align = 16, .nr_fixed = 300, .hash = 0x2d82fa983f9532a7ull,
	  .head = { 72, 133, 255, 120, 113, 72, 141, 71, 23, 72, 139, 21, 0, 0, 0, 0 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255 },
	  .moved = moved_70, .nr_moved = 6 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 18736, .names = { "free", "__libc_free", "__free" },
	  .nbytes = 435, .align = 16, .nr_fixed = 387, .hash = 0x7ea92c485a76f3c4ull,
	  .head = { 72, 133, 255, 15, 132, 231, 0, 0, 0, 64, 246, 199, 15, 15, 133, 205 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_71, .nr_moved = 12 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 19376, .names = { "realloc", "__libc_realloc", "__realloc" },
	  .nbytes = 1308, .align = 16, .nr_fixed = 1145, .hash = 0x70b82a973baf2584ull,
	  .head = { 73, 137, 241, 72, 133, 255, 15, 132, 68, 3, 0, 0, 65, 87, 73, 137 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_72, .nr_moved = 40 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 20688, .names = { "memalign", "__libc_memalign", "__memalign" },
	  .nbytes = 5, .align = 16, .nr_fixed = 1, .hash = 0x89bf20a34837958full,
	  .head = { 233, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .head_moved = { 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_73, .nr_moved = 1 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 20704, .names = { "aligned_alloc" },
	  .nbytes = 41, .align = 16, .nr_fixed = 30, .hash = 0x1864dd0565c158e5ull,
	  .head = { 72, 141, 71, 255, 72, 133, 248, 117, 15, 72, 133, 255, 116, 10, 233, 0 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255 },
	  .moved = moved_74, .nr_moved = 2 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 20752, .names = { "free_sized" },
	  .nbytes = 5, .align = 16, .nr_fixed = 1, .hash = 0x89bf20a34837958full,
	  .head = { 233, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .head_moved = { 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_75, .nr_moved = 1 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 20768, .names = { "free_aligned_sized" },
	  .nbytes = 5, .align = 16, .nr_fixed = 1, .hash = 0x89bf20a34837958full,
	  .head = { 233, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .head_moved = { 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_76, .nr_moved = 1 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 20784, .names = { "valloc", "__libc_valloc", "__valloc" },
	  .nbytes = 15, .align = 16, .nr_fixed = 7, .hash = 0x7baee7827402fc15ull,
	  .head = { 72, 137, 254, 72, 139, 61, 0, 0, 0, 0, 233, 0, 0, 0, 0, 0 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 255, 255, 255, 255, 0 },
	  .moved = moved_77, .nr_moved = 2 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 20800, .names = { "pvalloc", "__libc_pvalloc", "__pvalloc" },
	  .nbytes = 50, .align = 16, .nr_fixed = 35, .hash = 0x1b07019152ecf0daull,
	  .head = { 72, 137, 250, 72, 139, 61, 0, 0, 0, 0, 72, 141, 71, 255, 72, 1 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_78, .nr_moved = 2 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 20864, .names = { "calloc", "__libc_calloc", "__calloc" },
	  .nbytes = 518, .align = 16, .nr_fixed = 483, .hash = 0xd7cc7ce406b9fa2dull,
	  .head = { 72, 137, 248, 72, 247, 230, 15, 128, 132, 1, 0, 0, 15, 144, 193, 72 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_79, .nr_moved = 8 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 21392, .names = { "malloc_trim", "__malloc_trim" },
	  .nbytes = 667, .align = 16, .nr_fixed = 603, .hash = 0x0347837823cece85ull,
	  .head = { 65, 87, 72, 141, 5, 0, 0, 0, 0, 65, 86, 65, 85, 65, 84, 85 },
	  .head_moved = { 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_80, .nr_moved = 16 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 23088, .names = { "mallopt", "__libc_mallopt", "__mallopt" },
	  .nbytes = 321, .align = 16, .nr_fixed = 249, .hash = 0x4de7930ec9c9cccdull,
	  .head = { 72, 131, 236, 24, 137, 250, 49, 192, 185, 1, 0, 0, 0, 240, 15, 177 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_81, .nr_moved = 18 },
	{ .libc = "glibc 2.43-7", .section = 50, .start = 23424, .names = { "posix_memalign", "__posix_memalign" },
	  .nbytes = 78, .align = 16, .nr_fixed = 74, .hash = 0x9ec0e32928052bb0ull,
	  .head = { 72, 137, 241, 72, 193, 233, 3, 72, 141, 65, 255, 72, 33, 200, 72, 137 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_82, .nr_moved = 1 },
	{ .libc = "musl 1.2.6-2", .section = 53, .start = 0, .names = { "calloc" },
	  .nbytes = 315, .align = 16, .nr_fixed = 291, .hash = 0x60fb16da6851bfb6ull,
	  .head = { 243, 15, 30, 250, 72, 131, 236, 24, 76, 137, 100, 36, 16, 72, 133, 246 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_83, .nr_moved = 6 },
	{ .libc = "musl 1.2.6-2", .section = 55, .start = 0, .names = { "__libc_calloc" },
	  .nbytes = 315, .align = 16, .nr_fixed = 291, .hash = 0x60fb16da6851bfb6ull,
	  .head = { 243, 15, 30, 250, 72, 131, 236, 24, 76, 137, 100, 36, 16, 72, 133, 246 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_84, .nr_moved = 6 },
	{ .libc = "musl 1.2.6-2", .section = 58, .start = 0, .names = { "aligned_alloc" },
	  .nbytes = 916, .align = 16, .nr_fixed = 884, .hash = 0x41e033ac69e6051dull,
	  .head = { 243, 15, 30, 250, 72, 137, 248, 72, 131, 236, 24, 72, 247, 216, 72, 33 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_85, .nr_moved = 8 },
	{ .libc = "musl 1.2.6-2", .section = 59, .start = 0, .names = { "__libc_free" },
	  .nbytes = 488, .align = 16, .nr_fixed = 444, .hash = 0xea73445a1fc25acdull,
	  .head = { 243, 15, 30, 250, 72, 133, 255, 15, 132, 35, 1, 0, 0, 73, 137, 249 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_86, .nr_moved = 11 },
	{ .libc = "musl 1.2.6-2", .section = 60, .start = 0, .names = { "__libc_malloc_impl" },
	  .nbytes = 1213, .align = 16, .nr_fixed = 1113, .hash = 0xe018d7a1658451cdull,
	  .head = { 243, 15, 30, 250, 72, 184, 254, 239, 255, 255, 255, 255, 255, 127, 72, 131 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_87, .nr_moved = 25 },
	{ .libc = "musl 1.2.6-2", .section = 61, .start = 0, .names = { "__libc_realloc" },
	  .nbytes = 1249, .align = 16, .nr_fixed = 1209, .hash = 0xbb374c695f5d05e6ull,
	  .head = { 243, 15, 30, 250, 72, 133, 255, 15, 132, 67, 4, 0, 0, 72, 131, 236 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_88, .nr_moved = 10 },
	{ .libc = "musl 1.2.6-2", .section = 63, .start = 0, .names = { "posix_memalign" },
	  .nbytes = 67, .align = 16, .nr_fixed = 59, .hash = 0x55d85b630fa487b3ull,
	  .head = { 243, 15, 30, 250, 185, 22, 0, 0, 0, 72, 131, 254, 7, 118, 33, 83 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_89, .nr_moved = 2 },
	{ .libc = "musl 1.2.6-2", .section = 65, .start = 0, .names = { "reallocarray" },
	  .nbytes = 54, .align = 16, .nr_fixed = 46, .hash = 0x7eb3b7e9157d0507ull,
	  .head = { 243, 15, 30, 250, 72, 137, 241, 72, 137, 214, 72, 133, 210, 116, 8, 72 },
	  .head_moved = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	  .moved = moved_90, .nr_moved = 2 },
};

const unsigned signature_table_nr = sizeof(signature_table) / sizeof(signature_table[0]);
