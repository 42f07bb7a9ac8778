/// A number for each Unicode scalar, 0 for most: pages of 128, of which the empty ones are one.
struct ScalarMap: Sendable {
    private var pages = [UInt16](repeating: 0, count: 0x110000 >> 7)
    private var values = [UInt32](repeating: 0, count: 128)

    /// 0 for what is no scalar.
    subscript(scalar: UInt32) -> UInt32 {
        get { scalar < 0x110000 ? values[Int(pages[Int(scalar >> 7)]) << 7 | Int(scalar & 127)] : 0 }
        set {
            let page = Int(scalar >> 7)
            if pages[page] == 0 {
                pages[page] = UInt16(values.count >> 7)
                values.append(contentsOf: repeatElement(0, count: 128))
            }
            values[Int(pages[page]) << 7 | Int(scalar & 127)] = newValue
        }
    }
}
