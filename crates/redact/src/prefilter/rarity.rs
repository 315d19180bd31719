//! How rare bytes in a row are in what agents send and in prose, as told by a million bytes of both.

/// How rare some bytes are, one behind the other: four times the logarithm, to the base of two, of how
/// many bytes there are for each place where they stand.
pub(super) fn rarity(bytes: &[u8]) -> u32 {
    let Some(first) = bytes.first() else { return 0 };
    let behind = bytes.windows(2).map(|two| told(&BEHIND[kind(two[0])], two[1]));
    told(&FIRST, *first) + behind.sum::<u32>()
}

/// Letters, blanks, digits, and all else.
const fn kind(byte: u8) -> usize {
    match byte {
        b'a'..=b'z' => (byte - b'a') as usize,
        b'A'..=b'Z' => (byte - b'A') as usize,
        b' ' | b'\t' | b'\n' | b'\r' => 26,
        b'0'..=b'9' => 27,
        _ => 28,
    }
}

fn told(row: &[u8; KINDS], byte: u8) -> u32 {
    match row[kind(byte)] {
        // There is none that would have to be escaped.
        b'~' => 44,
        told => u32::from(told - b'0'),
    }
}

const KINDS: usize = 29;

/// Of each kind, beginning with zero as `0`.
const FIRST: [u8; KINDS] = *b"@IEE@IIHEZNEIBDGYDCAHOOUN~?;9";

/// The same of each kind behind another.
#[rustfmt::skip]
const BEHIND: [[u8; KINDS]; KINDS] = [
    *b"LIA?LKCoDmP?A<m?mAB=IXU~MmH=?",
    *b"BC@D@DPYPRkE~aD`kDSkHkkkDdI5:",
    *b"=G@C=Fo<IiBKoo;QiGRDOioiRoN;>",
    *b"<GHB>FWfAoNZWoJQiRFdRi_iMo?:6",
    *b"BJCCHIM~YgkFI=^GK<>CaFRIIi?>:",
    *b"@DFD;A]kBbPJ`_AbkIYKMkkk]eC6<",
    *b"FbFk9~9RIk_OMSO~e8;FJYJk[NEbA",
    *b"=`kV:eeXEkkk]e=`k@PDDbkkV`AZ5",
    *b"MJC9GJFobf^DD9<KiO?<dIo]iPJdC",
    *b"QZZT:ZTZQZTZZT@ZTJ3ZTQQZZTMQ?",
    *b"ENUf8OU_Af_R~JZ;_f;V~f;fP_C~;",
    *b":`HH>KLZ?h`:Q_C~obAGHbchOhDe8",
    *b"?OUS4ddd>``RMZ<Ab`ALJkkd`bDX?",
    *b"?hHB?L=hL]PPXEAHaZ>9BLdcTf@W;",
    *b"ORIASJSfDRI?E7?Eo>@E@EFS`oEiE",
    *b">~VN<m^;Fmg>]g;Ag?NB@d]RFmLZ>",
    *b"TTT[[[TTTT[B[TT[TPLQ3[[[[TJP6",
    *b"9fNJ:~CoDfPLIM@NfEBB>M~oHo@M<",
    *b"CoNP<D_IAjCUF`FDX~@;CXQoKf=~9",
    *b";bJT<S_=?lgVUo@Ho?CHLgW]Co@H9",
    *b"T@GL?OKeOkk:D9]BkB<:]MkPkeYkJ",
    *b":eee2~eeAee__eG~eS~ee__Z_eFDF",
    *b"5[eTC^e;;eeS[DB^eHIFeeeZeeF[>",
    *b">XB^D^^UK^^UX^XE^UX7^^^LB^G@7",
    *b"]RLfIf]_[ffHTFL6ff?A_f[f[U;[7",
    *b"?RXR;XRX;XMXRRMXXX:XXXXRRRD8<",
    *b"BIDHFHJLEVMGJEFE~GD@LOERYY8A9",
    *b"BDCCCDonjgkiRnoooooOoooeoYD3:",
    *b"CJEMHLPNDTNFGFOHYHFDLOSX`]>;5",
];
